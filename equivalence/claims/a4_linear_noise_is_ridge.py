"""The squared error under noise: ridge regression where the model is linear, Bishop's two terms in general."""

import numpy as np

from equivalence.claim import Claim
from equivalence.parts.noise import exactly, signs, spread
from equivalence.parts.ridge import bishop, ridge

SIGMA = 0.5


def measure(problem, reference):
    methods, x = problem.methods, reference.case.x

    def noisy(point, noise):
        return methods.noisy_loss(lambda x: methods.squared_error(point.f(x), point.extra.targets), point.x, noise)

    if reference.case.model == "linear":
        noise = SIGMA * spread(signs(x.shape[1]).vectors, len(x))
        yield from exactly(problem, noisy, [(noise,)], [ridge(reference, np.full(x.shape, SIGMA**2))])
    yield "Bishop's terms", bishop(problem, reference)


CLAIM = Claim(
    id="A4",
    title="Noise is ridge regression for a linear model, a Jacobian penalty and one term more for any other",
    formula="E‖W(x+σz)-y‖² = ‖Wx-y‖² + σ²‖W‖²; Δ‖f-y‖² = 2‖J‖² + 2Σᵢ(fᵢ-yᵢ)Δfᵢ, and 2‖J‖² at y = f(x)",
    source="Bishop 1995",
    methods=("noisy_loss", "squared_error", "laplacian", "jacobian_penalty"),
    cases=("softmax", "tanh-mlp"),
    measure=measure,
    wrong={
        "the noise is 3 % too large": lambda m, bridge: {
            "noisy_loss": lambda loss, x, noise: m.noisy_loss(loss, x, 1.03 * noise)
        },
        "half the squared error": lambda m, bridge: {"squared_error": lambda a, b: m.squared_error(a, b) / 2},
        "the Laplacian is averaged over the inputs": lambda m, bridge: {
            "laplacian": lambda loss, x: m.laplacian(loss, x) / x.shape[-1]
        },
        "the Jacobian's penalty is 3 % too large": lambda m, bridge: {
            "jacobian_penalty": lambda f, x: 1.03 * m.jacobian_penalty(f, x)
        },
    },
    control="softmax",
)
