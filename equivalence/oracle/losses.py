"""Per-sample losses and their gradients. Analytic: the shift that tames the exponentials is real."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Array = np.ndarray


class Differentiable:
    """A function of arrays with its hand-derived gradient, `vjp(*arrays, cotangent)`."""

    def __init__(self, function: Callable[..., Any], vjp: Callable[..., Any]):
        functools.update_wrapper(self, function)
        self.function, self.vjp = function, vjp

    def __call__(self, *arrays: Array) -> Any:
        return self.function(*arrays)

    def pullback(self) -> "Differentiable":
        """arrays -> cotangent -> gradients. It keeps the gradient, so that `consistency_loss` takes it as well."""
        return Differentiable(lambda *arrays: functools.partial(self.vjp, *arrays), self.vjp)


def differentiable(vjp: Callable[..., Any]) -> Callable[[Callable[..., Any]], Differentiable]:
    """Give the function below the gradient."""
    return lambda function: Differentiable(function, vjp)


_rounded: Callable[[Array, Array], Array] | None = None


@contextlib.contextmanager
def rounded(by: Callable[[Array, Array], Array]) -> Iterator[None]:
    """Within, every logarithm of a probability goes through `by`: what becomes of results if those are rounded.

    `by` gets the largest of the logits, too: f - log Σ exp f, a usual form, is rounded as they are. Of a divergence by
    its usual sum, Σᵢ pᵢ (log pᵢ - log qᵢ), as every framework's own is: there, terms cancel.
    """
    global _rounded
    before, _rounded = _rounded, by
    try:
        yield
    finally:
        _rounded = before


def log_softmax(logits: Array) -> Array:
    """Logarithms of the classes' probabilities, (B, C) -> (B, C)."""
    shifted = logits - logits.real.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return log_p if _rounded is None else _rounded(log_p, np.abs(logits).max(1, keepdims=True))


def softmax(logits: Array) -> Array:
    """The classes' probabilities, (B, C) -> (B, C)."""
    return np.exp(log_softmax(logits))


def softmax_change(p_logits: Array, q_logits: Array) -> Array:
    """q - p, (B, C): does not cancel where they are close, and sums to 0 as the gradient of a log-softmax does."""
    log_p, log_q = log_softmax(p_logits), log_softmax(q_logits)
    near = np.abs((log_q - log_p).real) < 1  # elsewhere nothing cancels, and expm1 could overflow
    small = np.where(near, log_q - log_p, 0)
    change = np.where(near, np.exp(log_p) * np.expm1(small), np.exp(log_q) - np.exp(log_p))
    if _rounded is not None:  # by hand it is written without the next line, and what is rounded does not sum to 0
        return change
    return change - softmax(q_logits) * change.sum(1, keepdims=True)


def one_hot(labels: Array, classes: int) -> Array:
    """Labels as probabilities (B, C): class numbers (B,) one-hot, soft labels as they are."""
    return labels if labels.ndim == 2 else np.eye(classes)[labels]


def _cross_entropy_vjp(logits: Array, labels: Array, cotangent: Array) -> Array:
    """The cotangent of the logits. Σy stays: soft labels sum to 1 only to the precision that they are stored in."""
    y = one_hot(labels, logits.shape[1])
    return cotangent[:, None] * (softmax(logits) * y.sum(1, keepdims=True) - y)


@differentiable(_cross_entropy_vjp)
def cross_entropy(logits: Array, labels: Array) -> Array:
    """-Σᵢ yᵢ log pᵢ, (B, C), labels (B,) or (B, C) -> (B,)."""
    return -(one_hot(labels, logits.shape[1]) * log_softmax(logits)).sum(1)


def _squared_error_vjp(outputs: Array, targets: Array, cotangent: Array) -> tuple[Array, Array]:
    outputs_bar = 2 * cotangent[:, None] * (outputs - targets)
    return outputs_bar, -outputs_bar


@differentiable(_squared_error_vjp)
def squared_error(outputs: Array, targets: Array) -> Array:
    """‖outputs - targets‖², (B, C), (B, C) -> (B,)."""
    return ((outputs - targets) ** 2).sum(1)


def _kl_divergence_vjp(p_logits: Array, q_logits: Array, cotangent: Array) -> tuple[Array, Array]:
    p, ratio = softmax(p_logits), log_softmax(p_logits) - log_softmax(q_logits)
    p_bar = p * (ratio - (p * ratio).sum(1, keepdims=True))  # softmax' applied to 1 + log p/q; the 1 drops out
    return cotangent[:, None] * p_bar, cotangent[:, None] * softmax_change(p_logits, q_logits)


@differentiable(_kl_divergence_vjp)
def kl_divergence(p_logits: Array, q_logits: Array) -> Array:
    """KL(p‖q) = Σᵢ pᵢ (ρᵢ + e^-ρᵢ - 1), ρ = log p - log q, (B, C), (B, C) -> (B,)."""
    log_p, log_q = log_softmax(p_logits), log_softmax(q_logits)
    p, q, ratio = np.exp(log_p), np.exp(log_q), log_p - log_q
    if _rounded is not None:
        return (p * ratio).sum(1)
    near = np.abs(ratio.real) < 1  # both forms are the same function; this one keeps its digits where ρ is small
    small = np.where(near, ratio, 0)
    return np.where(near, p * (small + np.expm1(-small)), p * ratio + q - p).sum(1)


def _reverse_kl_divergence_vjp(p_logits: Array, q_logits: Array, cotangent: Array) -> tuple[Array, Array]:
    q_bar, p_bar = _kl_divergence_vjp(q_logits, p_logits, cotangent)
    return p_bar, q_bar


@differentiable(_reverse_kl_divergence_vjp)
def reverse_kl_divergence(p_logits: Array, q_logits: Array) -> Array:
    """KL(q‖p), the arguments in the order of `kl_divergence`."""
    return kl_divergence(q_logits, p_logits)


def _entropy_vjp(logits: Array, cotangent: Array) -> Array:
    p, log_p = softmax(logits), log_softmax(logits)
    if _rounded is not None:  # as it is differentiated step by step: a 1 that should cancel does so only to rounding
        bar = p * (log_p + 1)
        return -cotangent[:, None] * (bar - softmax(logits) * bar.sum(1, keepdims=True))
    return -cotangent[:, None] * p * (log_p - (p * log_p).sum(1, keepdims=True))


@differentiable(_entropy_vjp)
def entropy(logits: Array) -> Array:
    """-Σᵢ pᵢ log pᵢ, (B, C) -> (B,)."""
    return -(softmax(logits) * log_softmax(logits)).sum(1)
