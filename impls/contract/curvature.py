"""Second derivatives of a per-sample loss with respect to its input."""

from impls.contract.types import Array, Loss


def hvp(loss: Loss, x: Array, vector: Array) -> Array:
    """Hessian-vector product of each sample, H_b v_b with H_b = ∇²ₓℓ_b (Pearlmutter 1994).

    The gradient's derivative along the vector (forward over reverse), or the gradient of gradient·vector (reverse over
    reverse), whichever the framework does better.

    Args:
        loss: x (B, *S) -> (B,), twice differentiable.
        x: (B, *S).
        vector: (B, *S).

    Returns:
        (B, *S).

    Cost: 4 (the forward pass and input gradient, and their derivative along the vector).
    """


def laplacian(loss: Loss, x: Array, *, probes: Array | None = None) -> Array:
    """Laplacian Δℓ = tr ∇²ₓℓ of each sample, exact or by Hutchinson's estimator, differentiable in the parameters.

    With probes v of mean 0 and covariance I, E vᵀHv = tr H. The variance of one probe is 2(‖H‖²_F - ΣHᵢᵢ²) for
    Rademacher, 2‖H‖²_F for Gaussian probes.

    Args:
        loss: x (B, *S) -> (B,), three times differentiable if the result is to be trained on.
        x: (B, *S), n numbers a sample.
        probes: (K, B, *S), averaged; None for the exact sum over n unit vectors (memory n times that of x).

    Returns:
        (B,).

    Cost: one Hessian-vector product a probe, 4K (exact: 4n); with its backward pass 12K.
    Floor of a training step 4K plain steps (the forward pass is shared with the loss).
    """


def top_eigenpair(loss: Loss, x: Array, start: Array, *, steps: int) -> tuple[Array, Array]:
    """Dominant eigenpair of each sample's Hessian by power iteration (Golub & Van Loan, §7.3).

    Converges to the eigenvalue of largest magnitude, with its sign; tan of the angle to its eigenvector shrinks by
    |λ₂/λ₁| a step.

    Args:
        loss: x (B, *S) -> (B,), twice differentiable.
        x: (B, *S).
        start: (B, *S), not orthogonal to the eigenvector sought; any length.
        steps: number of Hessian-vector products that turn the vector, ≥ 0.

    Returns:
        eigenvalue (B,), the Rayleigh quotient uᵀHu, differentiable with u fixed (its exact derivative at an
        eigenvector), and eigenvector u (B, *S) of norm 1, held fixed.

    Cost: steps + 1 Hessian-vector products.
    """
