"""What arrays of the three frameworks have no common operator for, composed of right methods and the bridge."""

import re
from types import ModuleType, SimpleNamespace
from typing import Any

Array = Any


def inner(m: SimpleNamespace, a: Array, b: Array) -> Array:
    """⟨a, b⟩ of each sample, (B,), by polarisation."""
    return (m.l2_norm(a + b) ** 2 - m.l2_norm(a - b) ** 2) / 4


def each(numbers: Array, x: Array) -> Array:
    """Numbers (B,) as (B, 1, ..., 1), one for each sample of x."""
    return numbers[(slice(None), *[None] * (len(x.shape) - 1))]


def total(x: Array) -> Array:
    """The sum over the first axis."""
    return sum((x[k] for k in range(1, x.shape[0])), start=x[0])


def summed(x: Array) -> Array:
    """All that a sample has, (B,)."""
    while len(x.shape) > 1:
        x = sum(x[..., k] for k in range(x.shape[-1]))
    return x


def columns(outputs: Array) -> list[Array]:
    """(B, C) as C of (B,)."""
    return [outputs[:, c] for c in range(outputs.shape[1])]


def sign(m: SimpleNamespace, numbers: Array) -> Array:
    """Signs of numbers (B,)."""
    return m.steepest(numbers[:, None], norm="linf")[:, 0]


def at_most(m: SimpleNamespace, most: float, numbers: Array) -> Array:
    """The smaller of the two, of numbers (B,) ≥ 0."""
    return m.project(numbers[:, None], radius=most, norm="linf")[:, 0]


def log_sum_exp(m: SimpleNamespace, logits: Array) -> Array:
    """(B,): what the cross-entropy with uniform labels adds to the mean of the logits."""
    classes = logits.shape[-1]
    return m.cross_entropy(logits, 0 * logits + 1 / classes) + sum(columns(logits)) / classes


def log_softmax(m: SimpleNamespace, logits: Array) -> Array:
    return logits - log_sum_exp(m, logits)[:, None]


def softmax(m: SimpleNamespace, bridge: ModuleType, logits: Array) -> Array:
    return bridge.gradient(lambda logits: log_sum_exp(m, logits), logits)


def one_hot(m: SimpleNamespace, labels: Array, logits: Array) -> Array:
    """Labels of either kind as (B, C)."""
    return m.smooth_labels(labels, smoothing=0.0, like=logits)


def as_wide_as(bridge: ModuleType, x: Array, like: Array) -> Array:
    """Numbers in the dtype of others."""
    return bridge.cast(x, re.search(r"b?float\d+", str(like.dtype))[0])  # type: ignore[index]  # there is one


def at_least_float32(bridge: ModuleType, x: Array) -> Array:
    """Numbers of half precision in float32, in which the contract adds them up."""
    return bridge.cast(x, "float32") if "16" in str(x.dtype) else x


def rounded(x: Array) -> Array:
    """Cut to float32's 24 bits by Veltkamp's splitting, where it has more; gradients pass."""
    if "64" not in str(x.dtype):
        return x
    high = (2.0**29 + 1) * x
    return high - (high - x)
