"""Norms that survive gradients of any size: the largest entry is divided out before anything is squared."""

from typing import Literal

from impls.contract.types import Array


def l2_norm(x: Array) -> Array:
    """Euclidean norm of each sample, differentiable, with gradient 0 at 0.

    Args:
        x: (B, *S).

    Returns:
        (B,).
    """


def unit(x: Array, *, scope: Literal["sample", "tensor"] = "sample") -> Array:
    """x / ‖x‖₂, and 0 where x is 0.

    Args:
        x: (B, *S).
        scope: one norm a sample, or one norm for the whole tensor.

    Returns:
        (B, *S), of norm 1 or 0 in each scope.
    """
