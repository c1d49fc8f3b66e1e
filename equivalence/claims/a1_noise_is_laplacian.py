"""Noise on the input adds ½σ² times the loss's Laplacian. Expectations are sums over every noise vector."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import ladder, order
from equivalence.parts.noise import expansion, normal, side_by_side, signs, skewed, spread


def measure(problem, reference):
    methods, point = problem.methods, reference.low_dimensional()

    def residual(point, sigma, noise):
        point = problem.low_dimensional(point)
        noisy = methods.noisy_loss(point.loss, point.x, sigma * noise)
        return noisy - point.loss(point.x) - 0.5 * sigma**2 * methods.laplacian(point.loss, point.x)

    def row(displacement):
        return side_by_side(reference, point.loss, point.x + displacement)

    if reference.case.model == "relu_mlp":
        yield "on a kink", kink(problem, reference, residual)
    elif reference.case.model == "linear":  # mean 0, variance σ² are not enough
        yield "skewed noise differs", expansion(problem, residual, skewed(4), row)
    elif reference.case.name == "tanh-mlp":
        yield "normal noise", expansion(problem, residual, normal(), row)
    else:
        yield "signs", expansion(problem, residual, signs(point.x.shape[1]), row)


def kink(problem, reference, residual):
    """A unit that is fed 0 puts out σ·max(w·z, 0), of mean ½σ·E|w·z|: order 1 where no Laplacian sees it."""
    case, point, vectors = reference.case, reference.point, signs(4).vectors
    slope = oracle.values.softmax(point.f(point.x)) - np.eye(3)[case.labels]  # ∂ℓ/∂f, (B, C)
    coefficient = 0.5 * abs(vectors @ case.params["0.weight"][0]).mean() * slope @ case.params["1.weight"][:, 0]

    def residuals(steps):
        return problem.evaluate(residual, [(step, spread(vectors, case.batch)) for step in steps])[0]

    return order(residuals, ladder(-1, -15), ladder(-55, -56), 1, coefficient, scale=1.0)


CLAIM = Claim(
    id="A1",
    title="Noise of variance σ² on the input adds ½σ² times the Laplacian of the loss",
    formula="E ℓ(x+σz) = ℓ + ½σ²Δℓ + O(σ⁴): σ⁴Δ²ℓ/8 for normal z; O(σ³) for skewed z, O(σ) on a kink",
    source="Su, 泛化性乱弹, eq. 3-6; Bishop 1995",
    methods=("noisy_loss", "laplacian"),
    cases=("cubic", "softmax", "tanh-mlp", "digits-mlp", "relu-mlp"),
    measure=measure,
    wrong={
        "the Laplacian is 3 % too large": lambda m, bridge: {"laplacian": lambda loss, x: 1.03 * m.laplacian(loss, x)},
        "noise of one sign": lambda m, bridge: {"noisy_loss": lambda loss, x, noise: m.noisy_loss(loss, x, abs(noise))},
    },
    control="tanh-mlp",
)
