"""What perturbed inputs do to the squared error: a ridge where the model is linear, Bishop's two terms in general."""

from collections.abc import Callable
from typing import Any

import numpy as np

from equivalence import oracle
from equivalence.measure import equal
from equivalence.parts.noise import side_by_side
from equivalence.problem import Point, Problem
from equivalence.reference import Reference

Array = np.ndarray


def ridge(reference: Reference, strengths: Array) -> Array:
    """‖Wx+b-y‖² + Σⱼ strengthsⱼ‖W₍:,ⱼ₎‖² of a linear model and its θ-gradient, (B + P,); strengths (B, n)."""
    point, weight = reference.point, reference.case.params["weight"]
    clean = side_by_side(reference, oracle.Loss(point.f, "squared_error", point.extra.targets), point.x)
    slope = reference.total((None, {"weight": 2 * weight * strengths.mean(0)}))
    return clean + np.concatenate([strengths @ (weight**2).sum(0), slope])


def bishop(problem: Problem, reference: Reference) -> dict[str, Any]:
    """Measure Δ‖f-y‖² - 2‖J‖² and its θ-gradient, f the squares of the model's outputs, to be 2Σᵢ(fᵢ-yᵢ)Δfᵢ.

    For given targets, and for y = f(x), where that vanishes.
    """
    methods, x = problem.methods, reference.point.x
    model: Any = reference.point.f
    batch = reference.case.batch

    def rest(point: Point, y: Any) -> Any:
        def f(x: Any) -> Any:
            return point.f(x) ** 2

        laplacian = methods.laplacian(lambda x: methods.squared_error(f(x), y), point.x)
        return laplacian - 2 * methods.jacobian_penalty(f, point.x)

    def outputs(x: Array, weights: Array) -> Array:
        """Σᵢ weightsᵢfᵢ(x) and its θ-gradient, weights held fixed."""
        value, pulled = (weights * model(x) ** 2).sum(1), model.vjp(x, 2 * weights * model(x) / batch)
        return np.concatenate([value, reference.total(pulled)])

    def laplacian(function: Callable[[Array], Array]) -> Array:
        def total(t: complex) -> Array:
            return np.sum([function(x + t * e) for e in np.eye(x.shape[1])], 0)

        return oracle.derivative(total, order=2, radius=1.0)  # a large circle: rounding grows like radius⁻²

    def expected(y: Array) -> tuple[Array, Array]:  # the θ-gradient has a part from f - y, and one from Δf
        difference, curved = 2 * (model(x) ** 2 - y), laplacian(lambda x: model(x) ** 2)  # (B, C)
        through_f = np.concatenate([np.zeros(batch), outputs(x, 2 * curved)[batch:]])
        return laplacian(lambda x: outputs(x, difference)), through_f

    targets = reference.case.extra["targets"], model(x) ** 2
    penalty = 2 * ((2 * model(x)[:, :, None] * oracle.values.jacobian(model, x)) ** 2).sum((1, 2))
    terms = [expected(y) for y in targets]
    size = max(penalty.max(), np.abs(terms).max())  # of what is added up, and partly cancels
    given, fitted = (first + second for first, second in terms)
    both = np.concatenate([given[:batch], fitted[:batch], (given + fitted)[batch:] / 2])
    return equal(problem.tiled(2).rows(rest, [(np.concatenate(targets),)])[0], both, size)
