"""Perturbations along the gradient of the loss."""

from typing import Literal

from impls.contract.types import Array, Loss


def fgm(
    loss: Loss,
    x: Array,
    *,
    radius: float,
    norm: Literal["l2", "linf", "raw"] = "l2",
    scope: Literal["sample", "tensor"] = "sample",
) -> Array:
    """Fast gradient method: the perturbation of the given size that raises the linearised loss most.

    With g = ∇ₓloss: "l2" radius·g/‖g‖₂ (Miyato et al. 2017, eq. 5), "linf" radius·sign g (Goodfellow et al. 2015,
    FGSM), "raw" radius·g. Training on loss(x + r) with r fixed is, to first order in the radius, training with the
    penalty radius·‖g‖₂, radius·‖g‖₁, ½radius·‖g‖² respectively.

    Args:
        loss: x (B, *S) -> (B,).
        x: (B, *S).
        radius: ≥ 0, in units of x ("raw": units of x² per nat).
        norm: the ball that the perturbation lies in; "raw" leaves the gradient as it is.
        scope: one norm a sample, or one norm for the whole tensor (what the usual embedding-table snippet does:
            perturbations then depend on the other samples of the batch). Matters for "l2" only.

    Returns:
        (B, *S), held fixed; 0 for a sample whose gradient is 0.

    Cost: 2 (forward, gradient of the inputs alone). Training step 2 + 3 = 5: floor 5/3 plain steps.
    """
