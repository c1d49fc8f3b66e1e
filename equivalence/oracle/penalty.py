"""Penalties on first derivatives with respect to the inputs.

Their gradients need one derivative more, along one direction: that of c·N(g), g = ∇ₓℓ, is the derivative of ℓ's whole
gradient along c·∂N/∂g.
"""

from typing import Any

import numpy as np

from equivalence.oracle.along import along
from equivalence.oracle.closures import LogSoftmax
from equivalence.oracle.losses import softmax
from equivalence.oracle.models import Pulled
from equivalence.oracle.norms import l2_norm, per_sample, unit
from equivalence.oracle.trees import add

Array = np.ndarray


def input_gradient_penalty(loss: Any, x: Array, *, norm: str = "l2_squared") -> Array:
    """‖∇ₓℓ‖², ‖∇ₓℓ‖₂ or ‖∇ₓℓ‖₁, (B,) (Drucker & LeCun 1992)."""
    rows = loss.grad(x).reshape(len(x), -1)
    if norm == "l2_squared":
        return (rows**2).sum(1)
    return l2_norm(rows) if norm == "l2" else (np.sign(rows.real) * rows).sum(1)


def input_gradient_penalty_pullback(loss: Any, x: Array, *, norm: str = "l2_squared") -> Any:
    def pullback(cotangent: Array) -> Pulled:
        gradient = loss.grad(x)
        slope = {"l2_squared": 2 * gradient, "l2": unit(gradient), "l1": np.sign(gradient.real)}[norm]
        return along(loss, x, per_sample(cotangent, x) * slope, np.ones(len(x)))

    return pullback


def jacobian(f: Any, x: Array) -> Array:
    """∂f/∂x, a row a class, (B, C, n)."""
    batch, classes = f(x).shape
    rows = [f.vjp(x, np.broadcast_to(row, (batch, classes)))[0] for row in np.eye(classes)]
    return np.stack(rows, axis=1).reshape(batch, classes, -1)


def jacobian_penalty(f: Any, x: Array, *, weights: Array | None = None, probes: Array | None = None) -> Array:
    """Σᵢ wᵢ‖∇fᵢ‖², or the mean of ‖Σᵢ ηᵢ√wᵢ∇fᵢ‖² over probes (Hutchinson 1990), (B,)."""
    rows = jacobian(f, x)  # (B, C, n)
    if probes is None:
        squares = (rows**2).sum(2)  # (B, C)
        return (squares if weights is None else squares * weights).sum(1)
    root = 1 if weights is None else np.sqrt(weights)
    return (np.einsum("kbc,bcn->kbn", probes * root, rows) ** 2).sum(2).mean(0)


def jacobian_penalty_pullback(f: Any, x: Array, *, weights: Array | None = None, probes: Array | None = None) -> Any:
    """The weights are constants here; `softmax_weighted_penalty` has those that depend on f."""
    batch, classes = f(x).shape
    root = np.ones((batch, classes)) if weights is None else np.sqrt(weights)
    rows = root * (np.eye(classes)[:, None] if probes is None else probes)  # (K, B, C)
    share = 1 if probes is None else 1 / len(probes)

    def pullback(cotangent: Array) -> Pulled:
        directions = [2 * share * per_sample(cotangent, x) * f.vjp(x, row)[0] for row in rows]
        return add(*(along(f, x, direction, row) for row, direction in zip(rows, directions, strict=True)))

    return pullback


def softmax_weighted_penalty(f: Any, x: Array) -> Array:
    """Σᵢ pᵢ‖∇log pᵢ‖², p = softmax f, (B,): what small noise makes of KL(p(x)‖p(x + noise))."""
    return jacobian_penalty(LogSoftmax(f), x, weights=softmax(f(x)))


def softmax_weighted_penalty_pullback(f: Any, x: Array) -> Any:
    """Through the weights too: sᵢ = ‖∇log pᵢ‖² is the gradient in pᵢ, and p's own gradient is softmax's."""
    log_p, p = LogSoftmax(f), softmax(f(x))

    def pullback(cotangent: Array) -> Pulled:
        squares = cotangent[:, None] * (jacobian(log_p, x) ** 2).sum(2)  # (B, C)
        through_p = f.vjp(x, p * (squares - (p * squares).sum(1, keepdims=True)))
        return add(jacobian_penalty_pullback(log_p, x, weights=p)(cotangent), through_p)

    return pullback
