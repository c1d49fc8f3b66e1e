"""Penalties on first derivatives with respect to the inputs.

Their gradients need one derivative more, along one direction: that of c·N(g), g = ∇ₓℓ, is the derivative of ℓ's whole
gradient along c·∂N/∂g.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from equivalence.oracle.along import along
from equivalence.oracle.closures import LogSoftmax
from equivalence.oracle.layers import Pulled
from equivalence.oracle.losses import softmax
from equivalence.oracle.norms import difference_step, l2_norm, per_sample, plain_norm, plain_unit, unit
from equivalence.oracle.trees import add, scaled

Array = np.ndarray


def input_gradient_penalty(
    loss: Any,
    x: Array,
    *,
    norm: str = "l2_squared",
    how: str = "double_backward",
    xi: float | None = None,
    with_loss: bool = False,
) -> Any:
    """‖∇ₓℓ‖², ‖∇ₓℓ‖₂ or ‖∇ₓℓ‖₁, (B,) (Drucker & LeCun 1992); `how` concerns its gradient alone."""
    rows = loss.grad(x).reshape(len(x), -1)
    norms: dict[str, Callable[[Array], Array]] = {
        "l2_squared": lambda rows: (rows**2).sum(1),
        "l2": plain_norm,
        "l1": lambda rows: (np.sign(rows.real) * rows).sum(1),
    }
    penalty = norms[norm](rows)
    return (penalty, loss(x)) if with_loss else penalty


def input_gradient_penalty_pullback(
    loss: Any, x: Array, *, norm: str = "l2_squared", how: str = "double_backward", xi: float | None = None
) -> Any:
    """The penalty's gradient, which two ways have exactly; "finite_difference" has that of its difference."""

    def pullback(cotangent: Array) -> Pulled:
        gradient = loss.grad(x)
        slope = {"l2_squared": 2 * gradient, "l2": plain_unit(gradient), "l1": np.sign(gradient.real)}[norm]
        if how != "finite_difference":
            return along(loss, x, per_sample(cotangent, x) * slope, np.ones(len(x)))
        size = per_sample(np.full(len(x), xi), x) if xi is not None else difference_step(x, order=2)
        step, share = size * unit(slope), cotangent * l2_norm(slope) / (2 * size.reshape(-1))
        return add(loss.vjp(x + step, share), loss.vjp(x - step, -share))

    return pullback


def jacobian(f: Any, x: Array) -> Array:
    """∂f/∂x, a row a class, (B, C, n)."""
    batch, classes = f(x).shape
    rows = [f.vjp(x, np.broadcast_to(row, (batch, classes)))[0] for row in np.eye(classes)]
    return np.stack(rows, axis=1).reshape(batch, classes, -1)


def jacobian_penalty(
    f: Any, x: Array, *, weights: Array | None = None, probes: Array | None = None, with_outputs: bool = False
) -> Any:
    """Σᵢ wᵢ‖∇fᵢ‖², or the mean of ‖Σᵢ ηᵢ√wᵢ∇fᵢ‖² over probes (Hutchinson 1990), (B,)."""
    rows = jacobian(f, x)  # (B, C, n)
    weighted = rows if weights is None else rows * np.sqrt(weights)[:, :, None]
    if probes is None:
        penalty = (weighted**2).sum((1, 2))
    else:
        penalty = (np.einsum("kbc,bcn->kbn", probes, weighted) ** 2).sum(2).mean(0)
    return (penalty, f(x)) if with_outputs else penalty


def jacobian_penalty_pullback(f: Any, x: Array, *, weights: Array | None = None, probes: Array | None = None) -> Any:
    """The weights are constants here; `tikhonov_penalty` has those that depend on f."""
    outputs = f(x)
    rows = (np.ones_like(outputs) if weights is None else np.sqrt(weights)) * _probes(outputs, probes)  # (K, B, C)
    share = 1 if probes is None else 1 / len(probes)

    def pullback(cotangent: Array) -> Pulled:
        directions = [2 * share * per_sample(cotangent, x) * f.vjp(x, row)[0] for row in rows]
        return add(*(along(f, x, direction, row) for row, direction in zip(rows, directions, strict=True)))

    return pullback


def _probes(outputs: Array, probes: Array | None) -> Array:
    """The probes (K, B, C), or the C unit vectors in their place, (C, 1, C)."""
    return np.eye(outputs.shape[1])[:, None] if probes is None else probes


def tikhonov_penalty(
    divergence: str, f: Any, x: Array, *, probes: Array | None = None, with_outputs: bool = False
) -> Any:
    """Σᵢ λᵢ‖∇fᵢ‖², (B,): 2Σᵢ‖∇fᵢ‖² for "squared_error", Σᵢ pᵢ‖∇log pᵢ‖² with p = softmax f for "kl_divergence"."""
    if divergence == "squared_error":
        penalty = 2 * jacobian_penalty(f, x, probes=probes)
    else:
        penalty = jacobian_penalty(LogSoftmax(f), x, weights=softmax(f(x)), probes=probes)
    return (penalty, f(x)) if with_outputs else penalty


def tikhonov_penalty_pullback(divergence: str, f: Any, x: Array, *, probes: Array | None = None) -> Any:
    if divergence == "squared_error":
        double = jacobian_penalty_pullback(f, x, probes=probes)
        return lambda cotangent: scaled(2, double(cotangent))
    log_p, p = LogSoftmax(f), softmax(f(x))
    fixed = jacobian_penalty_pullback(log_p, x, weights=p, probes=probes)

    def pullback(cotangent: Array) -> Pulled:
        """Through the weights too: √pᵢ = exp(½ log pᵢ), so that ∂‖vₖ‖²/∂log pᵢ is vₖ·(ηₖᵢ√pᵢ∇log pᵢ)."""
        rows, share = np.sqrt(p) * _probes(p, probes), 1 if probes is None else 1 / len(probes)
        gradients = jacobian(log_p, x)  # (B, C, n)
        sums = np.einsum("kbc,bcn->kbn", rows, gradients)  # vₖ
        through_p = share * cotangent[:, None] * np.einsum("kbc,bcn,kbn->bc", rows, gradients, sums)
        return add(fixed(cotangent), log_p.vjp(x, through_p))

    return pullback


def wgan_gradient_penalty(critic: Any, real: Array, fake: Array, mix: Array, *, target: float = 1.0) -> Array:
    """(‖∇critic‖₂ - target)² at mix·real + (1-mix)·fake, mix (B,) -> (B,) (Gulrajani et al. 2017, eq. 3)."""
    return (plain_norm(critic.grad(_between(real, fake, mix))) - target) ** 2


def wgan_gradient_penalty_pullback(critic: Any, real: Array, fake: Array, mix: Array, *, target: float = 1.0) -> Any:
    """x_bar is the gradient in `real`; fake is data, or held fixed."""

    def pullback(cotangent: Array) -> Pulled:
        between = _between(real, fake, mix)
        gradient = critic.grad(between)
        slope = per_sample(2 * cotangent * (plain_norm(gradient) - target), real) * plain_unit(gradient)
        between_bar, params_bar = along(critic, between, slope, np.ones(len(real)))
        return per_sample(mix, real) * between_bar, params_bar

    return pullback


def _between(real: Array, fake: Array, mix: Array) -> Array:
    return per_sample(mix, real) * real + per_sample(1 - mix, real) * fake
