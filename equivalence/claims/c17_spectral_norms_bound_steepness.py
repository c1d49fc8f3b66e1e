"""Products of spectral norms bound how steep a network is, and power iteration finds these norms at a known rate."""

import numpy as np

from equivalence.claim import Claim
from equivalence.measure import bound, equal
from equivalence.parts import lipschitz

FLAT = 2.0**-30  # where tanh is the identity to rounding


def measure(problem, reference):
    run, params = lipschitz.network(problem), reference.case.params
    x, y = lipschitz.pairs(reference)
    found, slopes, quotients = run(params, x, y)
    yield "product", equal(found, lipschitz.product(params))
    for layer, (slope, expected) in enumerate(zip(slopes, lipschitz.product_gradients(params), strict=True)):
        yield f"product's gradient in layer {layer}", equal(slope, expected)
    yield "bound", bound(found / quotients, 1.0)
    if reference.case.model == "mlp":
        params, direction = lipschitz.aligned(params)
        found, _, quotients = run(params, FLAT * np.broadcast_to(direction, x.shape), 0 * x)
        yield "attained", equal(quotients, found)
        yield from lipschitz.of_matrices(problem)  # once: no network has a part in it
    else:
        found, _, quotients = run(lipschitz.constant(params), np.full_like(x, FLAT), 0 * x)
        yield "overlapping windows", bound(found / quotients, 1.0)


CLAIM = Claim(
    id="C17",
    title="The product of spectral norms bounds every difference quotient; power iteration finds them, and uvᵀ",
    formula="‖f(x) - f(y)‖ ≤ Πσ₁(W)√ΠK·‖x - y‖; tan∠(u, u₁) shrinks by (σ₂/σ₁)² a step; ∂σ₁/∂W = u₁v₁ᵀ",
    source="Szegedy et al. 2014, §4.3; Miyato et al. 2018 (spectral normalization), alg. 1",
    methods=("lipschitz_bound", "spectral_norm"),
    cases=("tanh-mlp", "digits-cnn"),
    measure=measure,
    wrong={
        "the bound is 3 % too small": lambda m, bridge: {
            "lipschitz_bound": lambda weights, us, **options: 0.97 * m.lipschitz_bound(weights, us, **options)
        },
        "u is not carried on": lambda m, bridge: {
            "spectral_norm": lambda weight, u, **options: (m.spectral_norm(weight, u, **options)[0], m.unit(u[None])[0])
        },
        "the Frobenius norm": lambda m, bridge: {
            "spectral_norm": lambda weight, u, **options: (
                m.l2_norm(weight[None])[0],
                m.spectral_norm(weight, u, **options)[1],
            )
        },
    },
    control="tanh-mlp",
)
