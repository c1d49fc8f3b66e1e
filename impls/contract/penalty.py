"""Penalties on first derivatives with respect to the inputs."""

from typing import Literal

from impls.contract.types import Array, Loss, Model


def input_gradient_penalty(loss: Loss, x: Array, *, norm: Literal["l2_squared", "l2", "l1"] = "l2_squared") -> Array:
    """Norm of the loss's input gradient, differentiable in the parameters: ‖∇ₓℓ‖², ‖∇ₓℓ‖₂ or ‖∇ₓℓ‖₁.

    No factor is applied: FGM with "raw", "l2", "linf" corresponds to ½ε, ε, ε times this
    (Drucker & LeCun 1992; Ross & Doshi-Velez 2018).

    Args:
        loss: x (B, *S) -> (B,), twice differentiable.
        x: (B, *S).
        norm: which norm of the gradient.

    Returns:
        (B,); "l2" has gradient 0 where the norm is 0.

    Cost: 2 (forward, input gradient) and their backward pass 4: training step 6, floor 2 plain steps (the loss is
    shared with the penalty's own forward pass).
    """


def jacobian_penalty(f: Model, x: Array, *, weights: Array | None = None, probes: Array | None = None) -> Array:
    """Weighted squared Frobenius norm of the Jacobian, Σᵢ wᵢ‖∇fᵢ‖², exact or estimated by probes.

    With probes η of mean 0 and covariance I, E‖Σᵢ ηᵢ√wᵢ∇fᵢ‖² is that sum (Hutchinson 1990; Hoffman et al. 2019).
    The variance of one probe is 2(‖A‖²_F - Σaᵢᵢ²) for Rademacher, 2‖A‖²_F for Gaussian probes, A = √w JJᵀ √w.

    Args:
        f: x (B, *S) -> (B, C).
        x: (B, *S).
        weights: (B, C), ≥ 0, or None for ones. Gradients flow through them.
        probes: (K, B, C), one estimate a leading index, averaged; None for the exact sum over the C rows.

    Returns:
        (B,).

    Cost: exact 1 + C, with K probes 1 + K, and their backward pass twice that: floor (1+K) plain steps with K
    probes, (1+C) exact (the forward pass is shared with the loss).
    """
