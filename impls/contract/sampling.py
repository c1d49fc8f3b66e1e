"""Random arrays. The only functions that draw; the seed is an argument, the global random state is left alone."""

from impls.contract.types import Array


def rademacher(seed: int, shape: tuple[int, ...], *, like: Array) -> Array:
    """Independent signs, ±1 with probability ½ each: mean 0, variance 1, fourth moment 1.

    The probe of least variance for a trace among independent ones (Hutchinson 1990).

    Args:
        seed: a non-negative integer; the same seed gives the same signs in the same framework and version.
        shape: shape of the result.
        like: an array whose dtype and device the result takes.

    Returns:
        array of `shape`.
    """


def gaussian(seed: int, shape: tuple[int, ...], *, like: Array) -> Array:
    """Independent standard normal numbers: mean 0, variance 1, fourth moment 3.

    Args:
        seed: a non-negative integer; the same seed gives the same numbers in the same framework and version.
        shape: shape of the result.
        like: an array whose dtype and device the result takes.

    Returns:
        array of `shape`.
    """
