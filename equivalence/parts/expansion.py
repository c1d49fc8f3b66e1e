"""The loss along its own gradient, ℓ(x+εg), with g held fixed and not (C5)."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from equivalence import oracle
from equivalence.parts.first_order import RUNGS, swept
from equivalence.problem import Problem
from equivalence.reference import Reference

Measurement = dict[str, Any]


def value(problem: Problem, reference: Reference, size: float) -> Measurement:
    """ℓ(x+εg) - ℓ - ε‖g‖² - ½ε²gᵀHg, of order 3."""
    methods, point = problem.methods, reference.point

    def terms(point, radius):
        g = methods.fgm(point.loss, point.x, radius=1.0, norm="raw")
        moved = point.loss(point.x + methods.fgm(point.loss, point.x, radius=radius, norm="raw"))
        penalty = methods.input_gradient_penalty(point.loss, point.x)
        return moved, point.loss(point.x), penalty, g, methods.hvp(point.loss, point.x, g)

    def residual(radius):
        moved, clean, penalty, g, product = run(radius)
        return moved - clean - radius * penalty - 0.5 * radius**2 * (g * product).reshape(len(g), -1).sum(1)

    run = problem.compile(terms)
    gradient = oracle.values.fgm(point.loss, point.x, radius=1 / size, norm="raw")
    coefficient = oracle.derivative(lambda t: point.loss(point.x + t * gradient), order=3) / 6
    scale = float(np.linalg.norm(point.loss(point.x))) + 1
    return swept(np.stack([residual(radius) for radius in RUNGS / size]), 3, coefficient, scale)


def not_fixed(problem: Problem, reference: Reference, size: float) -> Iterator[tuple[str, Measurement]]:
    """∇θ of ℓ(x+εg) - ℓ - factor·ε‖g‖² where g is differentiated too: order 1 for ½, order 2 for 1."""
    point, mean = reference.point, np.full(reference.case.batch, 1 / reference.case.batch)
    gradient = oracle.values.fgm(point.loss, point.x, radius=1 / size, norm="raw")
    curved = oracle.values.hvp(point.loss, point.x, gradient)

    def residual(point, radius, factor):
        moved = point.loss(point.x + radius * problem.bridge.gradient(point.loss, point.x))
        penalty = problem.methods.input_gradient_penalty(point.loss, point.x)
        return moved - point.loss(point.x) - factor * radius * penalty

    def along(direction, order):
        return oracle.derivative(lambda t: reference.total(point.loss.vjp(point.x + t * direction, mean)), order=order)

    first, second = along(gradient, 1), along(gradient, 2) / 2 + along(curved, 1) / size
    found = problem.evaluate(residual, [(radius, factor) for factor in (0.5, 1.0) for radius in RUNGS / size])[1]
    against_half, against_one = np.split(found, 2)
    yield "not fixed, against ½", swept(against_half, 1, first, float(np.linalg.norm(first)))
    yield "not fixed, against 1", swept(against_one, 2, second, float(np.linalg.norm(first)))
