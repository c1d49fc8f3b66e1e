"""Derivatives of analytic functions of one number, exact to rounding, without a step size to choose."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

STEP = 1e-40  # its square underflows beside 1, so the complex step has no truncation error


def derivative(function: Callable[[complex], Any], order: int = 1, radius: float = 0.25, points: int = 24) -> Any:
    """The order-th derivative at 0 of a function that is real on the real axis and analytic around 0.

    Order 1 is the complex step (Squire & Trapp 1998). Higher orders are Cauchy's integral over a circle by the
    trapezoid rule (Lyness & Moler 1967), whose error falls like (radius / distance of the nearest pole)^points; by
    symmetry half of the circle is enough.

    Args:
        function: complex number -> array, or nested tuples and dicts of arrays.
        order: ≥ 1.
        radius: of the circle; inside it the function must be analytic.
        points: on the whole circle, even.

    Returns:
        what `function` returns, real.
    """
    if order == 1:
        return tree_map(lambda value: np.imag(value) / STEP, function(1j * STEP))
    nodes = np.exp(2j * np.pi * (np.arange(points // 2) + 0.5) / points)
    scale = 2 * math.factorial(order) / (points * radius**order)
    terms = [tree_map(lambda v, node=node: np.real(v * node**-order), function(radius * node)) for node in nodes]
    return tree_map(lambda *values: scale * sum(values), *terms)


def tree_map(function: Callable[..., Any], *trees: Any) -> Any:
    """Apply a function to the corresponding arrays of nested tuples and dicts."""
    first = trees[0]
    if isinstance(first, dict):
        return {key: tree_map(function, *(tree[key] for tree in trees)) for key in first}
    if isinstance(first, tuple):
        return tuple(tree_map(function, *parts) for parts in zip(*trees, strict=True))
    return function(*trees)
