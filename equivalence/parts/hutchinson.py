"""Hutchinson's estimators by every probe there is: no sampling, no false alarm."""

from collections.abc import Callable
from typing import Any

import numpy as np

from equivalence.measure import equal, every
from equivalence.problem import Problem

Array = np.ndarray


def probes_of(nodes: list[float], n: int, batch: int, copies: int = 1) -> Array:
    """Every choice of `copies` probes out of the nodes, the same for each sample of the batch, (copies, N·batch, n)."""
    choices = every(nodes, copies * n).reshape(-1, copies, n).swapaxes(0, 1)
    return np.repeat(choices, batch, axis=1)


def estimates(
    problem: Problem, estimator: Callable[..., Any], probes: Array, *per_sample: Array
) -> tuple[Array, Array]:
    """Estimates (N, B), one row a choice of probes, and the mean of their θ-gradients (P,).

    `estimator(problem, point, probes, *per_sample)` is (B,), its arguments as the batch is: one copy for each choice.
    """
    batch = problem.case.batch
    copies = probes.shape[1] // batch
    tiled = problem.tiled(copies)
    repeated = [np.concatenate([array] * copies) for array in per_sample]
    values, gradients = tiled.evaluate(lambda point, *arrays: estimator(tiled, point, *arrays), [(probes, *repeated)])
    return values[0].reshape(copies, batch), gradients[0]


def traced(pullback: Callable[[Array], Array], batch: int, n: int, measured: Array) -> dict[str, Any]:
    """Measure that a mean θ-gradient is the sum over unit probes (1, B, n), each -> (P,): they are what is added up."""
    terms = np.array([pullback(probe) for probe in np.broadcast_to(np.eye(n)[:, None, None], (n, 1, batch, n))])
    return equal(measured, terms.sum(0), size=float(np.abs(terms).max(1).sum()))


def signs_variance(matrices: Array) -> Array:
    """The variance of vᵀAv for random signs, 2(‖A‖² - Σaᵢᵢ²): (B, n, n) -> (B,)."""
    return normal_variance(matrices) - 2 * (np.diagonal(matrices, axis1=1, axis2=2) ** 2).sum(1)


def normal_variance(matrices: Array) -> Array:
    """The variance of vᵀAv for normal probes, 2‖A‖²: (B, n, n) -> (B,)."""
    return 2 * (matrices**2).sum((1, 2))
