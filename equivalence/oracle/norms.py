"""Norms and what they define. Norms and directions are analytic away from 0 and from ties: squares have no conjugates.

Scaled as in the contract, so that they cannot underflow. Where it does not ask for that, of a norm that is penalised or
multiplied, an implementation may take the root of a sum of squares as it is: `underflowed` says what becomes of it.
"""

import contextlib
from collections.abc import Iterator

import numpy as np

Array = np.ndarray

_lost = 0.0


@contextlib.contextmanager
def underflowed(lost: float) -> Iterator[None]:
    """Within, the squares under the root of a plain norm are off by so much: what underflows is lost."""
    global _lost
    before, _lost = _lost, lost
    try:
        yield
    finally:
        _lost = before


def per_sample(numbers: Array, x: Array) -> Array:
    """One number a sample, (B,), shaped to multiply x (B, *S)."""
    return np.reshape(numbers, (-1, *[1] * (x.ndim - 1)))


def l2_norm(x: Array) -> Array:
    """Euclidean norm of each sample, (B, *S) -> (B,)."""
    rows = x.reshape(len(x), -1)
    largest = np.abs(rows).max(1)  # only a scale: it cancels
    scale = np.where(largest == 0, 1, largest)
    return scale * np.sqrt(((rows / scale[:, None]) ** 2).sum(1))


def plain_norm(x: Array) -> Array:
    """‖x‖₂ of each sample, (B,), by its square."""
    exact = l2_norm(x)
    return np.sqrt(exact**2 + _lost) if _lost else exact


def plain_unit(x: Array) -> Array:
    """x divided by its plain norm, (B, *S), and 0 where x is 0."""
    norm = plain_norm(x)
    return per_sample(l2_norm(x) / np.where(norm == 0, 1, norm), x) * unit(x)


def unit(x: Array, *, scope: str = "sample") -> Array:
    """x / ‖x‖, and 0 where x is 0; one norm a sample, or one for the tensor."""
    largest = np.abs(x.reshape(len(x), -1)).max(1)
    if scope == "tensor":
        largest = np.full(len(x), largest.max())
    rescaled = x / per_sample(np.where(largest == 0, 1, largest), x)  # not divided by a norm that may be subnormal
    norm = l2_norm(rescaled) if scope == "sample" else l2_norm(rescaled.reshape(1, -1))
    return rescaled / per_sample(np.where(norm == 0, 1, norm), x)


def difference_step(x: Array, *, order: int) -> Array:
    """ξ of a difference with an error of that order, (B, 1, ..., 1), in float64: u^(1/(order + 1))·max(‖x‖, 1)."""
    unit_of_rounding = np.finfo(np.float64).eps / 2
    return per_sample(unit_of_rounding ** (1 / (order + 1)) * np.maximum(l2_norm(x), 1), x)


def steepest(x: Array, *, norm: str = "l2", scope: str = "sample") -> Array:
    """The vector of the norm's unit ball with the largest inner product with x, (B, *S); "raw" x itself."""
    if norm == "l2":
        return unit(x, scope=scope)
    if norm == "raw":
        return x
    sign = np.sign(x.real)
    if norm == "linf":
        return sign
    sizes = np.abs(x.real).reshape(len(x) if scope == "sample" else 1, -1)
    tied = sizes == sizes.max(1, keepdims=True)
    return sign * (tied / tied.sum(1, keepdims=True)).reshape(x.shape)


def project(x: Array, *, radius: float, norm: str = "l2") -> Array:
    """The point of the ball around 0 nearest to x, (B, *S)."""
    if np.iscomplexobj(x) or np.iscomplexobj(radius):  # NumPy orders complex numbers, and would clip them silently
        raise TypeError("x, radius: got complex numbers, expected real ones: a projection is not analytic")
    if norm == "linf":
        return np.clip(x, -radius, radius)
    if norm == "l2":
        length = l2_norm(x)
        inside = length <= radius
        return x * per_sample(np.where(inside, 1, radius / np.where(inside, 1, length)), x)
    sizes = np.abs(x)
    inside = sizes.reshape(len(x), -1).sum(1) <= radius
    largest = per_sample(sizes.reshape(len(x), -1).max(1), x)
    behind = largest - sizes
    kept = np.maximum(per_sample(_largest_kept(behind, radius), x) - behind, 0)  # no digits lost where x is large
    return np.sign(x) * np.where(per_sample(inside, x), sizes, kept)


def _largest_kept(behind: Array, radius: float) -> Array:
    """What a projection on the L1 ball leaves of the largest magnitude, (B,) (Duchi et al. 2008, fig. 1).

    The others stay as far behind it as they are, down to 0. It is the j-th candidate where j components are left, and j
    the largest number of them of which the last is above 0.
    """
    ordered = np.sort(behind.reshape(len(behind), -1), axis=1)
    candidates = (radius + np.cumsum(ordered, axis=1)) / np.arange(1, ordered.shape[1] + 1)
    left = np.maximum((candidates > ordered).sum(1), 1)  # at radius 0 none
    return candidates[np.arange(len(behind)), left - 1]
