"""Virtual adversarial training (Miyato et al. 2018)."""

from typing import Any

import numpy as np

from equivalence.oracle.derivative import derivative
from equivalence.oracle.losses import kl_divergence, softmax_change
from equivalence.oracle.models import Pulled
from equivalence.oracle.norms import unit
from equivalence.oracle.trees import scaled

Array = np.ndarray


def vat_perturbation(
    f: Any,
    x: Array,
    start: Array,
    *,
    radius: float,
    xi: float = 0.01,
    steps: int = 1,
    how: str = "finite_difference",
) -> Array:
    """Power iteration on ∇²ᵣ KL(p(x)‖p(x+r)) at 0, p(x) fixed, (B, *S) (their eq. 12)."""
    if np.iscomplexobj(x):  # the exact product is a derivative: within another one it would silently be constant
        raise TypeError("x: got complex numbers, expected real ones: derivatives do not nest")

    def product(vector: Array) -> Array:
        return derivative(lambda t: _divergence_gradient(f, x, t * vector))

    def difference(vector: Array) -> Array:  # the gradient at r = 0 is 0, so no second gradient is subtracted
        return _divergence_gradient(f, x, xi * vector)

    direction = unit(start)
    for _ in range(steps):
        direction = unit(product(direction) if how == "exact" else difference(direction))
    return radius * direction


def _divergence_gradient(f: Any, x: Array, r: Array) -> Array:
    """∇ᵣ KL(p(x)‖p(x+r)), p(x) fixed: the model's gradient of q - p."""
    return f.vjp(x + r, softmax_change(f(x), f(x + r)))[0]


def vat_perturbation_pullback(f: Any, x: Array, start: Array, **options: Any) -> Any:
    """Zeros whatever the cotangent (B, *S): the perturbation is held fixed."""
    return lambda cotangent: scaled(0, f.vjp(x, np.zeros_like(f(x))))


def vat_loss(f: Any, x: Array, start: Array, **options: Any) -> Array:
    """KL(p(x)‖p(x+r)) at the virtual adversarial r, (B,) (their eq. 5-6); options as for `vat_perturbation`."""
    return kl_divergence(f(x), f(x + vat_perturbation(f, x, start, **options)))


def vat_loss_pullback(f: Any, x: Array, start: Array, **options: Any) -> Any:
    """Through p(x+r) only; x_bar too."""

    def pullback(cotangent: Array) -> Pulled:
        moved = x + vat_perturbation(f, x, start, **options)
        return f.vjp(moved, cotangent[:, None] * softmax_change(f(x), f(moved)))

    return pullback
