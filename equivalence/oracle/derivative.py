"""Derivatives of analytic functions of one number, exact to rounding, without a step size to tune."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from equivalence.oracle.trees import leaves, scaled, tree_map

STEP = 1e-40  # its square vanishes beside 1, so the complex step has no truncation error
CIRCLES = 11  # radii tried, each the one before divided by √2: rounding grows like radius^-order, so none is skipped
CONVERGED = 1e-13  # highest coefficients relative to the function: what rounding alone leaves of them
HOPELESS = 1e-3  # relative; above it lie a pole inside the smallest circle, a jump, or noise of the function's size


def derivative(function: Callable[[complex], Any], order: int = 1, radius: float = 0.25, points: int = 32) -> Any:
    """The order-th derivative at 0 of a function that is real on the real axis and analytic around 0.

    Order 1 is the complex step (Squire & Trapp 1998). Higher orders are Cauchy's integral over a circle by the
    trapezoid rule (Lyness & Moler 1967); its error falls like (radius / distance of the nearest pole)^points and shows
    in the highest coefficients. While they have not vanished, the circle is made smaller.

    Args:
        function: complex number -> array, or nested tuples and dicts of arrays. It must not take a derivative of this
            kind itself: a derivative is real, and the outer one would be 0.
        order: ≥ 1, less than points - 4.
        radius: of the first circle.
        points: on the whole circle, even; by symmetry half of them are evaluated.

    Returns:
        what `function` returns, real.

    Raises:
        ArithmeticError: the function is not analytic within the smallest circle.
    """
    if order < 1 or points % 2 or order >= points - 4:
        raise ValueError(f"order: got {order} with {points} points, expected 1 ≤ order < points - 4, points even")
    if order == 1:
        return tree_map(lambda value: np.imag(value) / STEP, function(1j * STEP))
    nodes = np.exp(2j * np.pi * (np.arange(points // 2) + 0.5) / points)  # upper half, conjugates of the lower one
    left, error, best = math.inf, math.inf, None
    for size in radius * 0.5 ** (np.arange(CIRCLES) / 2):
        samples = [function(size * node) for node in nodes]
        tail = _tail(samples, nodes)
        if tail / size**order < error:  # false for NaN too, from a pole on the circle
            left, error = tail, tail / size**order
            best = scaled(math.factorial(order) / size**order, _coefficient(samples, nodes, order))
        elif left <= HOPELESS:
            break  # nothing but rounding is left, and it grows like size^-order
        if tail <= CONVERGED:
            break
    if best is None or left > HOPELESS:
        raise ArithmeticError(f"not analytic within {size:.2g} of 0: the series does not converge")
    return best


def _coefficient(samples: list[Any], nodes: np.ndarray, order: int) -> Any:
    """Taylor coefficient times radius^order: the mean of function·node^-order over the whole circle."""
    turned = nodes**-order
    return tree_map(lambda *arrays: np.tensordot(turned, np.array(arrays), 1).real / len(nodes), *samples)


def _tail(samples: list[Any], nodes: np.ndarray) -> float:
    """The largest of the four highest coefficients, relative to the function (four: an even one has zeros between)."""
    largest = max(float(np.abs(array).max()) for sample in samples for array in leaves(sample))
    highest = (_coefficient(samples, nodes, 2 * len(nodes) - k) for k in range(1, 5))
    tail = max(float(np.abs(array).max()) for tree in highest for array in leaves(tree))
    return tail / largest if largest else 0.0
