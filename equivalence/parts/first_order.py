"""Training on FGM's perturbation is, to first order, training with a gradient penalty (C1 to C5)."""

from typing import Any

import numpy as np

from equivalence import oracle
from equivalence.measure import ladder, order
from equivalence.problem import Problem
from equivalence.reference import Reference

Measurement = dict[str, Any]
Array = np.ndarray
STEPS, TAIL = ladder(3, -18), ladder(-51, -53)
RUNGS = np.concatenate([STEPS, TAIL])


def swept(residuals: Array, p: int, coefficient: Array, scale: float) -> Measurement:
    """Measure the order of residuals (S, P) that were computed at all RUNGS."""
    return order(lambda steps: residuals, STEPS, TAIL, p, coefficient, scale)


def residual_gradient(problem: Problem, reference: Reference, norm: str, factor: float, penalty: str) -> Measurement:
    """Measure ∇θ[ℓ(x+r) - ℓ - factor·ε·penalty], r = FGM(ε) held fixed: ½ε²·D²ℓ's gradient along the direction.

    Args:
        norm: of the perturbation.
        factor: of the penalty.
        penalty: norm of the gradient that is penalised.
    """
    return residual(problem, reference, norm, factor, penalty)["θ-gradient"]


def residual(problem: Problem, reference: Reference, norm: str, factor: float, penalty: str) -> dict[str, Measurement]:
    """The same, and of the value ℓ(x+r) - ℓ - factor·ε·penalty: of order 2 where that is all of the first order."""
    methods, point = problem.methods, reference.point
    mean = np.full(reference.case.batch, 1 / reference.case.batch)
    direction = oracle.values.fgm(point.loss, point.x, radius=1.0, norm=norm)
    size = float(oracle.values.l2_norm(direction).max())

    def penalised(point):
        if penalty != "linf":
            return methods.input_gradient_penalty(point.loss, point.x, norm=penalty)
        largest = problem.array(abs(direction))  # of norm "l1": 1 at the largest |gᵢ|, 0 elsewhere
        return methods.l2_norm(largest * problem.bridge.gradient(point.loss, point.x))

    def left(point, radius):
        r = methods.fgm(point.loss, point.x, radius=radius, norm=norm)
        return point.loss(point.x + r) - point.loss(point.x) - factor * radius * penalised(point)

    def moved(t):
        x = point.x + t * direction / size
        return point.loss(x), reference.total(point.loss.vjp(x, mean))

    # a step is the length of the longest perturbation
    found = problem.evaluate(left, [(step,) for step in RUNGS / size])
    starts, seconds = moved(0.0), oracle.derivative(moved, order=2)
    return {
        name: swept(residuals, 2, second / 2, float(np.linalg.norm(start)))
        for name, residuals, second, start in zip(("value", "θ-gradient"), found, seconds, starts, strict=True)
    }


def mistakes() -> dict:
    """Wrong variants that the claims must reject."""
    return {
        "the radius is doubled": lambda m, bridge: {
            "fgm": lambda loss, x, radius, **options: m.fgm(loss, x, radius=2 * radius, **options)
        },
        "the penalty has a wrong factor": lambda m, bridge: {
            "input_gradient_penalty": lambda loss, x, norm: 2 * m.input_gradient_penalty(loss, x, norm=norm)
        },
        "the gradient is 3 % too long": lambda m, bridge: {
            "fgm": lambda loss, x, radius, **options: m.fgm(loss, x, radius=1.03 * radius, **options)
        },
    }
