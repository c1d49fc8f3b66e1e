"""Derivatives of a closure's gradient along a direction: of t -> ∇(ℓ(x + t·d)), which is analytic in t."""

from typing import Any

import numpy as np

from equivalence.oracle.derivative import derivative
from equivalence.oracle.layers import Pulled

Array = np.ndarray


def along(closure: Any, x: Array, direction: Array, cotangent: Array, order: int = 1) -> Pulled:
    """The order-th derivative of closure.vjp(x + t·direction, cotangent) in t at 0: (x_bar, params_bar).

    Orders above 1 want a direction of norm ≤ 1 a sample: the first circle has radius 1, since rounding grows like
    radius^-order where many inputs each move a little; poles make it shrink by itself.
    """
    if np.iscomplexobj(x):  # a derivative is real: within another one its own derivative would silently be 0
        raise TypeError("x: got complex numbers, expected real ones: derivatives do not nest")
    return derivative(lambda t: closure.vjp(x + t * direction, cotangent), order, radius=1.0)
