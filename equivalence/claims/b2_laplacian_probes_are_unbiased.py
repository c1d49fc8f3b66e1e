"""Hutchinson's estimator of the Laplacian, by every probe there is, also after the parameter gradient."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import NORMAL, SIGNS, enumerated
from equivalence.parts.hutchinson import estimates, normal_variance, probes_of, signs_variance, traced


def curvature(problem, point, probes):
    point = problem.low_dimensional(point)
    return problem.methods.laplacian(point.loss, point.x, probes=probes)


def measure(problem, reference):
    point = reference.low_dimensional()
    batch, n = point.x.shape
    hessians = oracle.values.hessian(point.loss, point.x)
    kind, nodes, variance = ("signs", SIGNS, signs_variance)
    if reference.case.directions is not None:  # of three components: some hundred normal probes
        kind, nodes, variance = ("normal probes", NORMAL, normal_variance)
    values, gradient = estimates(problem, curvature, probes_of(nodes, n, batch))

    def pulled(probes):
        pullback = oracle.pullbacks.laplacian(point.loss, point.x, probes=probes)
        return reference.total(pullback(np.full(batch, 1 / batch)))

    yield kind, enumerated(values, np.trace(hessians, axis1=1, axis2=2), variance(hessians))
    yield "θ-gradient", traced(pulled, batch, n, gradient)


CLAIM = Claim(
    id="B2",
    title="Hutchinson's estimator of the Laplacian is unbiased, with the variance that theory gives, also after ∇θ",
    formula="E vᵀHv = tr H = Δℓ; variance 2(‖H‖² - ΣHᵢᵢ²) for signs, 2‖H‖² for normal probes",
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
