"""Virtual adversarial training (Miyato et al. 2018)."""

from typing import Any

import numpy as np

from equivalence.oracle.closures import held_fixed
from equivalence.oracle.derivative import derivative
from equivalence.oracle.layers import Pulled
from equivalence.oracle.losses import entropy, kl_divergence, softmax, softmax_change
from equivalence.oracle.norms import difference_step, unit
from equivalence.oracle.trees import add

Array = np.ndarray


def vat_perturbation(
    f: Any,
    x: Array,
    start: Array,
    *,
    radius: float,
    xi: float | None = None,
    steps: int = 1,
    how: str = "fisher",
) -> Array:
    """Power iteration on ∇²ᵣ KL(p(x)‖p(x+r)) at 0, p(x) fixed, (B, *S) (their eq. 10-12)."""
    return _perturbation(f, x, f(x), start, radius, xi, steps, how)


def _perturbation(
    f: Any, x: Array, clean: Array, start: Array, radius: float, xi: float | None, steps: int, how: str
) -> Array:
    """Compute the same from the logits of p(x)."""
    if np.iscomplexobj(x):  # the exact product is a derivative: within another one it would silently be constant
        raise TypeError("x: got complex numbers, expected real ones: derivatives do not nest")

    def gradient(r: Array) -> Array:  # of KL(p(x)‖p(x+r)) in r: the model's gradient of q - p
        return f.vjp(x + r, softmax_change(clean, f(x + r)))[0]

    def exact(vector: Array) -> Array:
        return derivative(lambda t: gradient(t * vector))

    def fisher(vector: Array) -> Array:  # what is left of it at r = 0, where q = p
        p, change = softmax(clean), derivative(lambda t: f(x + t * vector))
        return f.vjp(x, p * (change - (p * change).sum(1, keepdims=True)))[0]

    def finite_difference(vector: Array) -> Array:  # the gradient at r = 0 is 0, so no second gradient is subtracted
        return gradient((difference_step(x, order=1) if xi is None else xi) * vector)

    product = {"exact": exact, "fisher": fisher, "finite_difference": finite_difference}[how]
    direction = unit(start)
    for _ in range(steps):
        direction = unit(product(direction))
    return radius * direction


def vat_perturbation_pullback(f: Any, x: Array, start: Array, **options: Any) -> Any:
    return held_fixed(f, x)


def vat_loss(
    f: Any,
    x: Array,
    start: Array,
    *,
    radius: float,
    xi: float | None = None,
    steps: int = 1,
    how: str = "fisher",
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
    xi: float | None = None,
    steps: int = 1,
    how: str = "fisher",
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
