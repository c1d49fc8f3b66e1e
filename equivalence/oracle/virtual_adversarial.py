"""Virtual adversarial training (Miyato et al. 2018)."""

from typing import Any

import numpy as np

from equivalence.oracle.closures import held_fixed
from equivalence.oracle.derivative import derivative
from equivalence.oracle.layers import Pulled
from equivalence.oracle.losses import entropy, kl_divergence, softmax_change
from equivalence.oracle.norms import unit
from equivalence.oracle.trees import add

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
    return _perturbation(f, x, f(x), start, radius, xi, steps, how)


def _perturbation(
    f: Any, x: Array, clean: Array, start: Array, radius: float, xi: float, steps: int, how: str
) -> Array:
    """The same from the logits of p(x)."""
    if np.iscomplexobj(x):  # the exact product is a derivative: within another one it would silently be constant
        raise TypeError("x: got complex numbers, expected real ones: derivatives do not nest")

    def gradient(r: Array) -> Array:  # of KL(p(x)‖p(x+r)) in r: the model's gradient of q - p
        return f.vjp(x + r, softmax_change(clean, f(x + r)))[0]

    def product(vector: Array) -> Array:
        return derivative(lambda t: gradient(t * vector))

    def difference(vector: Array) -> Array:  # the gradient at r = 0 is 0, so no second gradient is subtracted
        return gradient(xi * vector)

    direction = unit(start)
    for _ in range(steps):
        direction = unit(product(direction) if how == "exact" else difference(direction))
    return radius * direction


def vat_perturbation_pullback(f: Any, x: Array, start: Array, **options: Any) -> Any:
    return held_fixed(f, x)


def vat_loss(
    f: Any,
    x: Array,
    start: Array,
    *,
    radius: float,
    xi: float = 0.01,
    steps: int = 1,
    how: str = "finite_difference",
    entropy_weight: float = 0.0,
    logits: Array | None = None,
) -> Array:
    """KL(p(x)‖p(x+r)) at the virtual adversarial r, (B,) (their eq. 5-6), and weight times the entropy of p(x)."""
    clean = f(x) if logits is None else logits
    r = _perturbation(f, x, clean, start, radius, xi, steps, how)
    return kl_divergence(clean, f(x + r)) + entropy_weight * entropy(clean)


def vat_loss_pullback(
    f: Any,
    x: Array,
    start: Array,
    *,
    radius: float,
    xi: float = 0.01,
    steps: int = 1,
    how: str = "finite_difference",
    entropy_weight: float = 0.0,
    logits: Any = None,
) -> Any:
    """Through p(x+r), and through the entropy's p(x); x_bar too.

    `logits` is the closure that gave them, where it is another than f.
    """
    closure = f if logits is None else logits

    def pullback(cotangent: Array) -> Pulled:
        clean = closure(x)
        moved = x + _perturbation(f, x, clean, start, radius, xi, steps, how)
        divergence = f.vjp(moved, cotangent[:, None] * softmax_change(clean, f(moved)))
        return add(divergence, closure.vjp(x, entropy.vjp(clean, entropy_weight * cotangent)))

    return pullback
