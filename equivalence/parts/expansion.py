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
    """ℓ(x+εg) - ℓ - ε‖g‖² - ½ε²gᵀHg, of order 3; one batch has the samples with every ε."""
    methods, point, radii = problem.methods, reference.point, RUNGS / size

    def terms(point, radii):
        g = methods.fgm(point.loss, point.x, radius=1.0, norm="raw")
        penalty = methods.input_gradient_penalty(point.loss, point.x)
        product = methods.hvp(point.loss, point.x, g)
        return point.loss(point.x + radii * g), point.loss(point.x), penalty, g, product

    batch, *shape = point.x.shape
    repeated = np.repeat(radii, batch)
    run = problem.tiled(len(radii)).compile(terms, sweep=False)
    moved, clean, penalty, g, product = run(repeated.reshape(-1, *[1] * len(shape)))
    curvature = (g * product).reshape(len(g), -1).sum(1)
    residuals = moved - clean - repeated * penalty - 0.5 * repeated**2 * curvature
    gradient = oracle.values.fgm(point.loss, point.x, radius=1 / size, norm="raw")
    coefficient = oracle.derivative(lambda t: point.loss(point.x + t * gradient), order=3) / 6
    scale = float(np.linalg.norm(point.loss(point.x))) + 1
    return swept(residuals.reshape(len(radii), batch), 3, coefficient, scale)


def not_fixed(problem: Problem, reference: Reference, size: float) -> Iterator[tuple[str, Measurement]]:
    """∇θ of ℓ(x+εg) - ℓ - factor·ε‖g‖² where g is differentiated too: order 1 for ½, order 2 for 1."""
    point, mean = reference.point, np.full(reference.case.batch, 1 / reference.case.batch)
    gradient = oracle.values.fgm(point.loss, point.x, radius=1 / size, norm="raw")
    curved = oracle.values.hvp(point.loss, point.x, gradient)

    def rise(point, radius):
        moved = point.x + radius * problem.bridge.gradient(point.loss, point.x)
        return point.loss(moved) - point.loss(point.x)

    def penalty(point):
        return problem.methods.input_gradient_penalty(point.loss, point.x)

    def along(direction, order):
        return oracle.derivative(lambda t: reference.total(point.loss.vjp(point.x + t * direction, mean)), order=order)

    radii = RUNGS / size
    rises = problem.evaluate(rise, [(radius,) for radius in radii])[1]
    penalties = radii[:, None] * problem.evaluate(penalty)[1]
    first, second = along(gradient, 1), along(gradient, 2) / 2 + along(curved, 1) / size
    scale = float(np.linalg.norm(first))
    yield "not fixed, against ½", swept(rises - penalties / 2, 1, first, scale)
    yield "not fixed, against 1", swept(rises - penalties, 2, second, scale)
