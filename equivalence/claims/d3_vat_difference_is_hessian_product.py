"""VAT's finite difference is a Hessian-vector product up to O(ξ); what float32 leaves of it is reported."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import ladder, order

STEPS, TAIL = ladder(4, -20), ladder(-42, -44)
COSINE = 0.99  # of float32's direction at the default ξ with the exact one


def direction(problem, **options):
    """Unit perturbations after one power step, (B, *S)."""
    return problem.compile(
        lambda point, *xi: problem.methods.vat_perturbation(
            point.f, point.x, point.extra.start, radius=1.0, **options, **({"xi": xi[0]} if xi else {})
        )
    )


def expansion(reference):
    """Of ξ·(direction by difference - exact direction): the coefficient of ξ²."""
    point, start = reference.point, oracle.values.unit(reference.case.extra["start"])
    batch = reference.case.batch
    clean = point.f(point.x)

    def slope(t):  # ∇ᵣKL at r = t·start
        q = oracle.values.softmax(point.f(point.x + t * start))
        return point.f.vjp(point.x + t * start, q - oracle.values.softmax(clean))[0]

    product = oracle.derivative(slope).reshape(batch, -1)  # Hd
    bend = oracle.derivative(slope, order=2).reshape(batch, -1) / 2
    length = np.linalg.norm(product, axis=1, keepdims=True)
    exact = product / length
    return exact, (bend - exact * (exact * bend).sum(1, keepdims=True)) / length


def measure(problem, reference):
    exact, coefficient = expansion(reference)
    by_difference = direction(problem)
    target = direction(problem, how="exact")().reshape(exact.shape)

    def residuals(steps):
        return np.stack([step * (by_difference(step).reshape(exact.shape) - target).ravel() for step in steps])

    yield "order", order(residuals, STEPS, TAIL, 2, coefficient.ravel(), scale=1.0)
    yield "exact product", {"kind": "bound", "values": [cosine(target, exact)], "lower": 1 - 1e-14}
    yield "float32 at the default ξ", in_float32(problem.in_dtype("float32"), exact)


def in_float32(problem, exact):
    """The cosine with the exact direction, at the default ξ and as a function of ξ."""
    steps = 10.0 ** np.arange(-7, 2)
    by_difference = direction(problem)
    return {
        "kind": "bound",
        "values": [cosine(direction(problem)(), exact)],
        "lower": COSINE,
        "xi": steps.tolist(),
        "cosines": [cosine(by_difference(xi), exact) for xi in steps],
    }


def cosine(directions, exact):
    """Smallest over the batch."""
    rows = directions.reshape(exact.shape).astype(np.float64)
    return float(((rows * exact).sum(1) / np.maximum(np.linalg.norm(rows, axis=1), 1e-300)).min())


CLAIM = Claim(
    id="D3",
    title="VAT's finite difference is the Hessian-vector product, to O(ξ), and survives float32 at the default ξ",
    formula="∇ᵣKL at ξd, divided by ξ, is Hd + O(ξ)",
    source="Miyato et al. 2018, eq. 12",
    methods=("vat_perturbation",),
    cases=("tanh-mlp", "digits-mlp", "reviews-text"),
    measure=measure,
    wrong={
        "the base point stands at distance 1": lambda m, bridge: {
            "vat_perturbation": lambda f, x, start, radius, xi=0.01, how="finite_difference": m.vat_perturbation(
                f, x, start, radius=radius, xi=1.0, how=how
            )
        },
        "ξ is a millionth of what was asked": lambda m, bridge: {
            "vat_perturbation": lambda f, x, start, radius, xi=0.01, how="finite_difference": m.vat_perturbation(
                f, x, start, radius=radius, xi=1e-6 * xi, how=how
            )
        },
        "the start is returned": lambda m, bridge: {
            "vat_perturbation": lambda f, x, start, radius, **options: radius * m.unit(start)
        },
    },
    control="tanh-mlp",
)
