"""Labels redrawn uniformly at a rate: expectations of the cross-entropy as sums over every label."""

from typing import Any

import numpy as np

from equivalence import oracle
from equivalence.measure import equal
from equivalence.parts.noise import side_by_side
from equivalence.problem import Problem
from equivalence.reference import Reference

Array = np.ndarray


def redraw_labels(reference: Reference, labels: Array, rate: float) -> Array:
    """The oracle's mean cross-entropy and its θ-gradient, a sum over all classes of those with one label, (B + P,).

    Args:
        labels: probabilities (B, C) that they are drawn from before some are redrawn.
        rate: of those.
    """
    point, (batch, classes) = reference.point, labels.shape
    shares = (1 - rate) * labels + rate / classes
    losses = [oracle.Loss(point.f, "cross_entropy", np.full(batch, c)) for c in range(classes)]
    values = sum(share * loss(point.x) for share, loss in zip(shares.T, losses, strict=True))
    gradients = [reference.total(loss.vjp(point.x, s / batch)) for s, loss in zip(shares.T, losses, strict=True)]
    return np.concatenate([values, np.sum(gradients, 0)])


def relabelled(problem: Problem, reference: Reference, classes: int) -> dict[str, Any]:
    """Measure the framework's mean over relabelled batches, a quarter of them redrawn, against smoothed labels.

    4C batches: each class once, and 3C times the label that is given.
    """
    labels, batch, point = reference.case.labels, reference.case.batch, reference.point
    outcomes = np.concatenate([np.repeat(np.arange(classes), batch), np.tile(labels, 3 * classes)]).astype(labels.dtype)
    tiled = problem.tiled(4 * classes)
    values, gradients = tiled.evaluate(
        lambda point, outcomes: problem.methods.cross_entropy(point.f(point.x), outcomes), [(outcomes,)]
    )
    measured = np.concatenate([values.reshape(-1, batch).mean(0), gradients[0]])
    smooth = oracle.values.smooth_labels(labels, smoothing=1 / 4, like=point.f(point.x))
    expected = side_by_side(reference, oracle.Loss(point.f, "cross_entropy", smooth), point.x)
    return equal(measured, expected, size=values.max())
