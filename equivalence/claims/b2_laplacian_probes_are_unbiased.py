"""Hutchinson's estimator of the Laplacian, by every probe there is, also after the parameter gradient."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import NORMAL, SIGNS, enumerated, equal, every


def part(problem, reference, nodes, variance):
    """`variance` takes the Hessians (B, n, n) to what theory says."""
    point = reference.low_dimensional()
    batch, n = point.x.shape
    probes = every(nodes, n)
    hessians = oracle.values.hessian(point.loss, point.x)
    tiled = problem.tiled(len(probes))

    def estimate(point, probes):
        point = tiled.low_dimensional(point)
        return tiled.methods.laplacian(point.loss, point.x, probes=probes)

    estimates = tiled.compile(estimate)(np.repeat(probes, batch, axis=0)[None]).reshape(len(probes), batch)
    return enumerated(estimates, np.trace(hessians, axis1=1, axis2=2), variance(hessians))


def gradient(problem, reference, nodes):
    """The mean over every probe after ∇θ (None: the exact Laplacian), a third derivative."""
    point = reference.low_dimensional()
    batch, n = point.x.shape
    probes = () if nodes is None else (np.broadcast_to(every(nodes, n)[:, None], (len(nodes) ** n, batch, n)),)

    def penalty(point, *probes):
        point = problem.low_dimensional(point)
        return problem.methods.laplacian(point.loss, point.x, probes=probes[0] if probes else None)

    measured = problem.evaluate(penalty, [probes])[1][0]
    mean = np.full(batch, 1 / batch)
    terms = [  # one a direction: what is added up, and so the scale of rounding
        reference.total(oracle.pullbacks.laplacian(point.loss, point.x, probes=probe)(mean))
        for probe in np.broadcast_to(np.eye(n)[:, None, None], (n, 1, batch, n))
    ]
    return equal(measured, np.sum(terms, 0), size=float(np.abs(terms).max(1).sum()))


def rademacher_variance(hessians):
    return 2 * ((hessians**2).sum((1, 2)) - (np.diagonal(hessians, axis1=1, axis2=2) ** 2).sum(1))


def gaussian_variance(hessians):
    return 2 * (hessians**2).sum((1, 2))


def measure(problem, reference):
    arguments = (problem, reference)
    yield "signs", part(*arguments, SIGNS, rademacher_variance)
    yield "gradient", gradient(*arguments, SIGNS)
    if reference.case.model == "linear":  # where thousands of probes are cheap
        yield "exact gradient", gradient(*arguments, None)
        yield "normal probes", part(*arguments, NORMAL, gaussian_variance)


CLAIM = Claim(
    id="B2",
    title="Hutchinson's estimator of the Laplacian is unbiased, with the variance that theory gives, also after ∇θ",
    formula="E vᵀHv = tr H = Δℓ; variance 2(‖H‖² - ΣHᵢᵢ²) for signs, 2‖H‖² for normal probes",
    source="Su, 泛化性乱弹; Hutchinson 1990",
    methods=("laplacian",),
    cases=("softmax", "tanh-mlp", "digits-mlp"),
    measure=measure,
    wrong={
        "divided by the number of inputs": lambda m, bridge: {
            "laplacian": lambda loss, x, probes=None: m.laplacian(loss, x, probes=probes) / x.shape[-1]
        },
        "the probe is applied on one side only": lambda m, bridge: {
            "laplacian": lambda loss, x, probes=None: m.laplacian(loss, x)
        },
    },
    control="tanh-mlp",
)
