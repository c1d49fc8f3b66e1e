"""Hutchinson's estimator of a Jacobian's norm, by every probe there is: no sampling, no false alarm."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import NORMAL, SIGNS, enumerated
from equivalence.parts.hutchinson import estimates, normal_variance, probes_of, signs_variance, traced


def penalty(problem, point, probes, weights):
    return problem.methods.jacobian_penalty(point.f, point.x, weights=weights, probes=probes)


def measure(problem, reference):
    point, weights = reference.point, reference.case.extra["class_weights"]
    batch, classes = weights.shape
    rows = oracle.values.jacobian(point.f, point.x) * np.sqrt(weights)[:, :, None]  # (B, C, n)
    gram = rows @ rows.swapaxes(1, 2)
    normal = reference.case.model == "linear"  # where hundreds of probes are cheap
    probes = probes_of(NORMAL, classes, batch) if normal else probes_of(SIGNS, classes, batch, copies=2)
    variance = normal_variance(gram) if normal else signs_variance(gram) / 2
    values, gradient = estimates(problem, penalty, probes, weights)

    def pulled(probes):
        pullback = oracle.pullbacks.jacobian_penalty(point.f, point.x, weights=weights, probes=probes)
        return reference.total(pullback(np.full(batch, 1 / batch)))

    yield "normal probes" if normal else "two signs", enumerated(values, np.trace(gram, axis1=1, axis2=2), variance)
    yield "θ-gradient", traced(pulled, batch, classes, gradient)


CLAIM = Claim(
    id="B1",
    title="Hutchinson's estimator of the Jacobian's squared norm is unbiased, with the variance that theory gives",
    formula="E‖Σᵢ ηᵢ√wᵢ∇fᵢ‖² = Σᵢ wᵢ‖∇fᵢ‖²; variance of K probes 2(‖A‖² - Σaᵢᵢ²)/K for signs, 2‖A‖²/K for normal ones",
    source="Su, 泛化性乱弹, eq. 9; Hutchinson 1990",
    methods=("jacobian_penalty",),
    cases=("tanh-mlp", "reviews-text"),
    measure=measure,
    wrong={
        "weights in place of their roots": lambda m, bridge: {
            "jacobian_penalty": lambda f, x, weights=None, probes=None: m.jacobian_penalty(
                f, x, weights=None if weights is None else weights**2, probes=probes
            )
        },
        "one sign for all classes": lambda m, bridge: {
            "jacobian_penalty": lambda f, x, weights=None, probes=None: m.jacobian_penalty(
                f, x, weights=weights, probes=0 * probes + probes[..., :1]
            )
        },
        "only the first probe is used": lambda m, bridge: {
            "jacobian_penalty": lambda f, x, weights=None, probes=None: m.jacobian_penalty(
                f, x, weights=weights, probes=probes[:1]
            )
        },
    },
    control="tanh-mlp",
)
