"""VAT's finite difference is a Hessian-vector product up to O(ξ); what float32 leaves of it is reported."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import bound, equal, ladder, order
from equivalence.parts.divergence import difference_expansion, misread, stretch

STEPS, TAIL = ladder(4, -20), ladder(-42, -44)
COSINE = 0.99  # of float32's direction at the default ξ with the exact one


def directions(problem, **options):
    """ξ -> unit perturbations (B, n) after one power step, by the difference over ξ and with the options."""

    def both(point, xi):
        arguments = (point.f, point.x, point.extra.start)
        return [problem.methods.vat_perturbation(*arguments, radius=1.0, **how) for how in ({"xi": xi}, options)]

    run = problem.compile(both)
    return lambda xi: [found.reshape(len(found), -1) for found in run(xi)]


def measure(problem, reference):
    start = oracle.values.unit(reference.case.extra["start"])
    exact, coefficient = difference_expansion(reference.point, start)
    run, in_float32 = directions(problem, how="exact"), directions(problem.in_dtype("float32"))

    def residuals(steps):
        return np.stack([xi * np.subtract(*run(xi)).ravel() for xi in steps])

    def cosine(found):
        return ((found * exact).sum(1) / np.maximum(np.linalg.norm(found.astype(float), axis=1), 1e-300)).min()

    yield "order", order(residuals, STEPS, TAIL, 2, coefficient.ravel(), scale=1.0)
    yield "exact product", equal(run(1.0)[1], exact, stretch(reference.point, start))
    steps = 10.0 ** np.arange(-7, 2)
    sweep = {"xi": steps.tolist(), "cosines": [float(cosine(in_float32(xi)[0])) for xi in steps]}
    yield "float32 at the default ξ", bound(cosine(in_float32(1.0)[1]), COSINE) | sweep


CLAIM = Claim(
    id="D3",
    title="VAT's finite difference is the Hessian-vector product, to O(ξ), and survives float32 at the default ξ",
    formula="∇ᵣKL at ξd, divided by ξ, is Hd + O(ξ)",
    source="Miyato et al. 2018, eq. 12",
    methods=("vat_perturbation",),
    cases=("tanh-mlp", "digits-mlp"),
    measure=measure,
    wrong={
        "the base point stands at distance 1": lambda m, bridge: misread(m, lambda xi: 1.0),
        "ξ is a millionth of what was asked": lambda m, bridge: misread(m, lambda xi: 1e-6 * xi),
        "the start is returned": lambda m, bridge: {
            "vat_perturbation": lambda f, x, start, radius, **options: radius * m.unit(start)
        },
    },
    control="tanh-mlp",
)
