"""Hutchinson's estimator of the Laplacian, by every probe there is, also after the parameter gradient."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import NORMAL, SIGNS, enumerated, equal
from equivalence.parts.hutchinson import estimates, normal_variance, probes_of, signs_variance


def curvature(problem, point, probes):
    point = problem.low_dimensional(point)
    return problem.methods.laplacian(point.loss, point.x, probes=probes)


def measure(problem, reference):
    point = reference.low_dimensional()
    batch, n = point.x.shape
    hessians = oracle.values.hessian(point.loss, point.x)
    normal = reference.case.directions is not None  # of three components: hundreds of probes
    probes = probes_of(NORMAL, n, batch) if normal else probes_of(SIGNS, n, batch, copies=2)
    variance = normal_variance(hessians) if normal else signs_variance(hessians) / 2
    values, gradient = estimates(problem, curvature, probes)
    terms = [  # one a direction: what is added up, and so the scale of rounding
        reference.total(oracle.pullbacks.laplacian(point.loss, point.x, probes=probe)(np.full(batch, 1 / batch)))
        for probe in np.broadcast_to(np.eye(n)[:, None, None], (n, 1, batch, n))
    ]
    traces = np.trace(hessians, axis1=1, axis2=2)
    yield "normal probes" if normal else "two signs", enumerated(values, traces, variance)
    yield "θ-gradient", equal(gradient, np.sum(terms, 0), size=float(np.abs(terms).max(1).sum()))


CLAIM = Claim(
    id="B2",
    title="Hutchinson's estimator of the Laplacian is unbiased, with the variance that theory gives, also after ∇θ",
    formula="E vᵀHv = tr H = Δℓ; variance of K probes 2(‖H‖² - ΣHᵢᵢ²)/K for signs, 2‖H‖²/K for normal ones",
    source="Su, 泛化性乱弹; Hutchinson 1990",
    methods=("laplacian",),
    cases=("tanh-mlp", "digits-mlp"),
    measure=measure,
    wrong={
        "divided by the number of inputs": lambda m, bridge: {
            "laplacian": lambda loss, x, probes=None: m.laplacian(loss, x, probes=probes) / x.shape[-1]
        },
        "the probe is applied on one side only": lambda m, bridge: {
            "laplacian": lambda loss, x, probes=None: m.laplacian(loss, x)
        },
        "the curvature is not differentiated in θ": lambda m, bridge: {
            "laplacian": lambda loss, x, probes=None: bridge.fixed(m.laplacian(loss, x, probes=probes))
        },
    },
    control="tanh-mlp",
)
