"""Norms, and what norms define: unit vectors, steepest directions, projections.

They survive gradients of any size: the largest entry is divided out before anything is squared, and half precision is
computed with in float32. JAX and TensorFlow take numbers below the smallest normal one for 0 in float32 and bfloat16.
"""

from typing import Literal

from impls.contract.types import Batch, PerSample, Same, Scale


def l2_norm(x: Batch) -> PerSample:
    """Euclidean norm of each sample, differentiable, with gradient 0 at 0.

    Args:
        x: (B, *S).

    Returns:
        (B,).
    """


def unit(x: Batch, *, scope: Literal["sample", "tensor"] = "sample") -> Same:
    """x / ‖x‖₂, and 0 where x is 0.

    Args:
        x: (B, *S).
        scope: one norm a sample, or one norm for the whole tensor.

    Returns:
        (B, *S), of norm 1 or 0 in each scope.
    """


def steepest(
    x: Batch,
    *,
    norm: Literal["l2", "linf", "l1", "raw"] = "l2",
    scope: Literal["sample", "tensor"] = "sample",
) -> Same:
    """The vector of the norm's unit ball that has the largest inner product with x, which is the dual norm of x.

    "l2" x/‖x‖₂, "linf" sign x, "l1" sign x on the components of largest magnitude and 0 elsewhere, shared evenly
    between them where there are several; "raw" x itself, which is in no ball.

    Args:
        x: (B, *S), a gradient for instance.
        norm: of the ball.
        scope: one ball a sample, or one for the whole tensor. No difference for "linf" and "raw".

    Returns:
        (B, *S); 0 where x is 0.
    """


def project(x: Batch, *, radius: Scale, norm: Literal["l2", "linf", "l1"] = "l2") -> Same:
    """The point nearest to x, in the Euclidean sense, of the ball around 0.

    "l2" x·min(1, radius/‖x‖₂), "linf" x clipped to ±radius, "l1" x shrunk towards 0 by one threshold a sample (Duchi et
    al. 2008, fig. 1).

    Args:
        x: (B, *S).
        radius: of the ball, ≥ 0.
        norm: of the ball.

    Returns:
        (B, *S); x itself where it lies in the ball.
    """
