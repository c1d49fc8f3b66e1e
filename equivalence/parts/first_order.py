"""What C1, C2 and C3 share: training on FGM's perturbation is, to first order, training with a gradient penalty."""

import numpy as np

from equivalence import oracle
from equivalence.measure import ladder, order
from equivalence.problem import Problem
from equivalence.reference import Reference

STEPS, TAIL = ladder(3, -18), ladder(-51, -53)


def residual_gradient(problem: Problem, reference: Reference, norm: str, factor: float, penalty: str) -> dict:
    """Measure ∇θ[ℓ(x+r) - ℓ - factor·ε·penalty], r = FGM(ε) held fixed: ½ε²·D²ℓ's gradient along the direction.

    Args:
        norm: of the perturbation.
        factor: of the penalty.
        penalty: norm of the gradient that is penalised.
    """
    methods, point = problem.methods, reference.point
    mean = np.full(reference.case.batch, 1 / reference.case.batch)
    direction = oracle.values.fgm(point.loss, point.x, radius=1.0, norm=norm)
    size = float(oracle.values.l2_norm(direction).max())

    def residual(point, radius):
        r = methods.fgm(point.loss, point.x, radius=radius, norm=norm)
        first_order = factor * radius * methods.input_gradient_penalty(point.loss, point.x, norm=penalty)
        return point.loss(point.x + r) - point.loss(point.x) - first_order

    def gradient(t):
        return reference.total(point.loss.vjp(point.x + t * direction / size, mean))

    def residuals(steps):  # a step is the length of the longest perturbation
        return problem.evaluate(residual, [(step,) for step in steps / size])[1]

    coefficient = oracle.derivative(gradient, order=2) / 2
    return order(residuals, STEPS, TAIL, 2, coefficient, scale=float(np.linalg.norm(gradient(0.0))))


def mistakes() -> dict:
    """Wrong variants that the three claims must reject."""
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
