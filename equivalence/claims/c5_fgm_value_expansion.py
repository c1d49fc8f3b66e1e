"""The loss at FGM's perturbation, term by term; and what happens when the perturbation is not held fixed."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import ladder, order

STEPS, TAIL = ladder(3, -18), ladder(-51, -53)


def value(problem, reference, size):
    """ℓ(x+εg) - ℓ - ε‖g‖² - ½ε²gᵀHg, of order 3."""
    methods, point = problem.methods, reference.point
    gradient = point.loss.grad(point.x)

    def residual(point, radius):
        g = methods.fgm(point.loss, point.x, radius=1.0, norm="raw")
        penalty = methods.input_gradient_penalty(point.loss, point.x)
        product = methods.hvp(point.loss, point.x, g)
        curvature = (methods.l2_norm(g + product) ** 2 - methods.l2_norm(g - product) ** 2) / 4  # gᵀHg
        moved = point.loss(point.x + methods.fgm(point.loss, point.x, radius=radius, norm="raw"))
        return moved - point.loss(point.x) - radius * penalty - 0.5 * radius**2 * curvature

    coefficient = oracle.derivative(lambda t: point.loss(point.x + t * gradient / size), order=3) / 6
    return order(
        lambda steps: problem.evaluate(residual, [(step,) for step in steps / size])[0],
        STEPS,
        TAIL,
        3,
        coefficient,
        scale=float(np.linalg.norm(point.loss(point.x))) + 1,
    )


def not_fixed(problem, reference, size, factor):
    """∇θ of ℓ(x+εg) - ℓ - factor·ε‖g‖² where g is differentiated too: order 1 for ½, order 2 for 1."""
    methods, point = problem.methods, reference.point
    mean = np.full(reference.case.batch, 1 / reference.case.batch)
    gradient = point.loss.grad(point.x) / size
    curved = oracle.values.hvp(point.loss, point.x, gradient)

    def residual(point, radius):
        moved = point.loss(point.x + radius * problem.bridge.gradient(point.loss, point.x))
        penalty = methods.input_gradient_penalty(point.loss, point.x)
        return moved - point.loss(point.x) - factor * radius * penalty

    def along(direction, order):
        return oracle.derivative(lambda t: reference.total(point.loss.vjp(point.x + t * direction, mean)), order=order)

    p = 1 if factor == 0.5 else 2
    coefficient = along(gradient, 1) if p == 1 else along(gradient, 2) / 2 + along(curved, 1) / size
    return order(
        lambda steps: problem.evaluate(residual, [(step,) for step in steps / size])[1],
        STEPS,
        TAIL,
        p,
        coefficient,
        scale=float(np.linalg.norm(along(gradient, 1))),
    )


def measure(problem, reference):
    point = reference.point
    size = float(oracle.values.l2_norm(point.loss.grad(point.x)).max())
    yield "value", value(problem, reference, size)
    yield "not fixed, against ½", not_fixed(problem, reference, size, 0.5)
    yield "not fixed, against 1", not_fixed(problem, reference, size, 1.0)


CLAIM = Claim(
    id="C5",
    title="The loss at x+εg to second order; with g not held fixed, training doubles the penalty",
    formula="ℓ(x+εg) = ℓ + ε‖g‖² + ½ε²gᵀHg + O(ε³); not fixed: ∇θ tends to ∇θ(ℓ+ε‖g‖²), slope 1 against ½, 2 against 1",
    source="Su, 泛化性乱弹, eq. 11-16",
    methods=("fgm", "input_gradient_penalty", "hvp"),
    cases=("quadratic", "tanh-mlp", "digits-mlp"),
    measure=measure,
    wrong={
        "the penalty is not squared": lambda m, bridge: {
            "input_gradient_penalty": lambda loss, x: m.input_gradient_penalty(loss, x, norm="l2")
        },
        "the curvature lacks a factor": lambda m, bridge: {"hvp": lambda loss, x, vector: m.hvp(loss, x, vector) / 2},
        "the radius is doubled": lambda m, bridge: {
            "fgm": lambda loss, x, radius, **options: m.fgm(loss, x, radius=2 * radius, **options)
        },
    },
    control="tanh-mlp",
)
