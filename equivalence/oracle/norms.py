"""Norms, analytic away from 0: squares without conjugates, scaled as in the contract so that they cannot underflow."""

import numpy as np

Array = np.ndarray


def per_sample(numbers: Array, x: Array) -> Array:
    """One number a sample, (B,), shaped to multiply x (B, *S)."""
    return np.reshape(numbers, (-1, *[1] * (x.ndim - 1)))


def l2_norm(x: Array) -> Array:
    """Euclidean norm of each sample, (B, *S) -> (B,)."""
    rows = x.reshape(len(x), -1)
    largest = np.abs(rows).max(1)  # only a scale: it cancels
    scale = np.where(largest == 0, 1, largest)
    return scale * np.sqrt(((rows / scale[:, None]) ** 2).sum(1))


def unit(x: Array, *, scope: str = "sample") -> Array:
    """x / ‖x‖, and 0 where x is 0; one norm a sample, or one for the tensor."""
    largest = np.abs(x.reshape(len(x), -1)).max(1)
    if scope == "tensor":
        largest = np.full(len(x), largest.max())
    rescaled = x / per_sample(np.where(largest == 0, 1, largest), x)  # not divided by a norm that may be subnormal
    norm = l2_norm(rescaled) if scope == "sample" else l2_norm(rescaled.reshape(1, -1))
    return rescaled / per_sample(np.where(norm == 0, 1, norm), x)
