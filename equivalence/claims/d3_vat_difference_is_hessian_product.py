"""VAT's ways to a Hessian-vector product: exactly, or up to O(ξ); what lower precisions leave of them is reported."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import HALF, bound, equal, ladder, order
from equivalence.parts.divergence import difference_expansion, differenced, misread, stretch

DIFFERENCE = "finite_difference"
STEPS, TAIL = ladder(4, -20), ladder(-42, -44)
COSINE = 0.99  # of a direction in lower precision with the exact one
LONG = 2.0**13  # times as long as it is: the first sample, beside which all others have the step that they have anyway
BENDS = 64  # times what the difference is off by at the contract's ξ, where rounding leaves as much as ξ itself


def directions(problem, *ways):
    """ξ -> unit perturbations (B, n) after one power step, by the difference over ξ and with other options."""

    def each(point, xi):
        arguments, difference = (point.f, point.x, point.extra.start), {"how": DIFFERENCE, "xi": xi}
        return [problem.methods.vat_perturbation(*arguments, radius=1.0, **way) for way in (difference, *ways)]

    run = problem.compile(each)
    return lambda xi: [found.reshape(len(found), -1) for found in run(xi)]


def beside_a_long_one(problem):
    """Unit perturbations (B, n) by the default difference, where the first sample is LONG."""
    lengths = np.ones(problem.case.x.shape)
    lengths[0] = LONG

    def at_lengths(point):
        x = problem.array(lengths) * point.x
        return problem.methods.vat_perturbation(point.f, x, point.extra.start, radius=1.0, how=DIFFERENCE)

    return problem.compile(at_lengths, sweep=False)().reshape(len(lengths), -1)


def measure(problem, reference):
    start = oracle.values.unit(reference.case.extra["start"])
    exact, coefficient = difference_expansion(reference.point, start)
    run = directions(problem, {"how": "exact"}, {"how": "fisher"}, {"how": DIFFERENCE})
    in_float32 = directions(problem.in_dtype("float32"), {}, {"how": DIFFERENCE})

    def residuals(steps):
        return np.stack([xi * np.subtract(*run(xi)[:2]).ravel() for xi in steps])

    def cosine(found):
        return ((found * exact).sum(1) / np.maximum(np.linalg.norm(found.astype(float), axis=1), 1e-300)).min()

    yield "order", order(residuals, STEPS, TAIL, 2, coefficient.ravel(), scale=1.0)
    *ways, at_default = run(1.0)[1:]
    for name, found in zip(("exact product", "Fisher product"), ways, strict=True):
        yield name, equal(found, exact, stretch(reference.point, start))
    bend = (1 + np.linalg.norm(coefficient)) * oracle.norms.difference_step(reference.point.x, order=1).max()
    yield "the default ξ", bound(-np.abs(at_default - exact), -BENDS * bend)
    yield "the default ξ beside a long sample", bound(-np.abs(beside_a_long_one(problem) - exact)[1:], -BENDS * bend)
    steps = 10.0 ** np.arange(-7, 2)
    sweep = {"xi": steps.tolist(), "cosines": [float(cosine(in_float32(xi)[0])) for xi in steps]}
    yield "float32 at the default ξ", bound(cosine(in_float32(1.0)[2]), COSINE) | sweep
    yield "float32", bound(cosine(in_float32(1.0)[1]), COSINE)
    for dtype in HALF:
        yield dtype, bound(cosine(directions(problem.in_dtype(dtype), {})(1.0)[1]), COSINE)


CLAIM = Claim(
    id="D3",
    title="VAT's power step is the Hessian-vector product, by a difference to O(ξ), and survives half precision",
    formula="Hd = Jᵀ(diag p - ppᵀ)Jd; ∇ᵣKL at ξd, divided by ξ, is Hd + O(ξ)",
    source="Miyato et al. 2018, eq. 12",
    methods=("vat_perturbation",),
    cases=("tanh-mlp", "digits-mlp"),
    measure=measure,
    wrong={
        "the base point stands at distance 1": lambda m, bridge: misread(m, lambda xi: 1.0),
        "ξ is a millionth of what was asked": lambda m, bridge: misread(m, lambda xi: 1e-6 * xi),
        "ξ is 1e-3 by default": lambda m, bridge: {
            "vat_perturbation": lambda f, x, start, radius, how="fisher", xi=None: m.vat_perturbation(
                f, x, start, radius=radius, how=how, xi=1e-3 if xi is None and "64" in str(x.dtype) else xi
            )
        },
        "ξ of the whole batch by default": lambda m, bridge: {
            "vat_perturbation": lambda f, x, start, radius, how="fisher", xi=None: m.vat_perturbation(
                f, x, start, radius=radius, how=how, xi=2**-26.5 * m.l2_norm(x[None])[0] if xi is None else xi
            )
        },
        "a ξ of float32 in half precision": lambda m, bridge: {
            "vat_perturbation": lambda f, x, start, radius, how="finite_difference", xi=0.004: m.vat_perturbation(
                f, x, start, radius=radius, how=how, xi=xi
            )
        },
        "the change of logits is a difference in half precision": differenced,
        "the start is returned": lambda m, bridge: {
            "vat_perturbation": lambda f, x, start, radius, **options: radius * m.unit(start)
        },
    },
    control="tanh-mlp",
)
