"""Hutchinson's estimator of a Jacobian's norm, by every probe there is: no sampling, no false alarm."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import NORMAL, SIGNS, enumerated, equal, every


def part(problem, reference, nodes, weights, variance):
    """`variance` takes A = √w JJᵀ √w (B, C, C) to what theory says."""
    point, batch = reference.point, reference.case.batch
    classes = point.f(point.x).shape[1]
    probes = every(nodes, classes)
    rows = oracle.values.jacobian(point.f, point.x) * np.sqrt(weights)[:, :, None]  # (B, C, n)
    gram = rows @ rows.swapaxes(1, 2)
    tiled = problem.tiled(len(probes))
    estimates = tiled.compile(
        lambda point, probes, weights: tiled.methods.jacobian_penalty(point.f, point.x, weights=weights, probes=probes)
    )(np.repeat(probes, batch, axis=0)[None], np.tile(weights, (len(probes), 1)))
    return enumerated(estimates.reshape(len(probes), batch), np.trace(gram, axis1=1, axis2=2), variance(gram))


def gradient(problem, reference, nodes, weights):
    """The mean over every probe after ∇θ."""
    point, batch = reference.point, reference.case.batch
    classes = weights.shape[1]
    probes = np.broadcast_to(every(nodes, classes)[:, None], (len(nodes) ** classes, batch, classes))
    measured = problem.evaluate(
        lambda point, probes, weights: problem.methods.jacobian_penalty(
            point.f, point.x, weights=weights, probes=probes
        ),
        [(probes, weights)],
    )[1][0]
    pullback = oracle.pullbacks.jacobian_penalty(point.f, point.x, weights=weights)
    expected = reference.total(pullback(np.full(batch, 1 / batch)))
    return equal(measured, expected)


def rademacher_variance(gram):
    return 2 * ((gram**2).sum((1, 2)) - (np.diagonal(gram, axis1=1, axis2=2) ** 2).sum(1))


def gaussian_variance(gram):
    return 2 * (gram**2).sum((1, 2))


def measure(problem, reference):
    weights = reference.case.extra["class_weights"]
    arguments = (problem, reference)
    yield "signs", part(*arguments, SIGNS, np.ones_like(weights), rademacher_variance)
    yield "weighted signs", part(*arguments, SIGNS, weights, rademacher_variance)
    yield "gradient", gradient(*arguments, SIGNS, weights)
    if weights.shape[1] <= 3:
        yield "normal probes", part(*arguments, NORMAL, np.ones_like(weights), gaussian_variance)


CLAIM = Claim(
    id="B1",
    title="Hutchinson's estimator of the Jacobian's squared norm is unbiased, with the variance that theory gives",
    formula="E‖Σᵢ ηᵢ√wᵢ∇fᵢ‖² = Σᵢ wᵢ‖∇fᵢ‖²; variance 2(‖A‖² - Σaᵢᵢ²) for signs, 2‖A‖² for normal probes",
    source="Su, 泛化性乱弹, eq. 9; Hutchinson 1990",
    methods=("jacobian_penalty",),
    cases=("softmax", "tanh-mlp", "digits-mlp"),
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
    },
    control="tanh-mlp",
)
