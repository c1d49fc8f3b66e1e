"""Second derivatives of a per-sample loss with respect to its input."""

from typing import Literal

from impls.contract.types import Batch, Draws, Loss, PerSample, Same, StepsOrNone


def hvp(loss: Loss, x: Batch, vector: Same) -> Same:
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


def laplacian(
    loss: Loss,
    x: Batch,
    *,
    how: Literal["hvp", "forward"] = "hvp",
    probes: Draws | None = None,
    with_loss: bool = False,
) -> PerSample | tuple[PerSample, PerSample]:
    """Laplacian Δℓ = tr ∇²ₓℓ of each sample, exact or by Hutchinson's estimator, differentiable in the parameters.

    "hvp" sums vᵀ(Hv) over Hessian-vector products. "forward" propagates second derivatives forwards without a backward
    pass (Taylor mode): along each vector by nested forward derivatives, and for the exact sum, where a library does
    so, all of it at once (JAX: folx, the forward Laplacian of Li et al. 2024; it takes jitted functions by their names,
    so a loss must not jit one of its own as "sigmoid").

    With probes v of mean 0 and covariance I, E vᵀHv = tr H. The variance of one probe is 2(‖H‖²_F - ΣHᵢᵢ²) for
    Rademacher, 2‖H‖²_F for Gaussian probes.

    Frameworks' own second and third derivatives are not right for every operation. PyTorch: layer and batch norm,
    determinants, linear solves and others are computed by formulas whose derivatives are (`impls/torch/formulas.py`).

    Args:
        loss: x (B, *S) -> (B,), three times differentiable if the result is to be trained on.
        x: (B, *S), n numbers a sample.
        how: the way.
        probes: (K, B, *S), averaged; None for the exact sum over n unit vectors (memory n times that of x).
        with_loss: also return the losses, which "hvp" computes anyway.

    Returns:
        (B,), with the losses (laplacian, loss), (B,) each.

    Cost: forward 1, input gradient 1, and 2 a probe (exact: n of them) for the derivative of both; with the backward
    pass through all of it 3 times that: floor of a training step 2 + 2K plain steps, if the loss is taken from here.
    Forward: 3 a vector; all of it at once less, since a first layer, dense or a convolution, then maps the unit vectors
    once for all samples.
    """


def top_eigenpair(
    loss: Loss, x: Batch, start: Same, *, steps: StepsOrNone, how: Literal["power", "lanczos"] = "power"
) -> tuple[PerSample, Same]:
    """Dominant eigenpair of each sample's Hessian by power iteration or by Lanczos (Golub & Van Loan, §7.3, §10.1).

    Both converge to the eigenvalue of largest magnitude, with its sign. Power iteration: tan of the angle to its
    eigenvector shrinks by |λ₂/λ₁| a step. Lanczos takes the best vector of the whole Krylov space that the same
    products span, with every new one made orthogonal to all before (twice); exact after n of them.

    Args:
        loss: x (B, *S) -> (B,), twice differentiable.
        x: (B, *S).
        start: (B, *S), not orthogonal to the eigenvector sought; any length.
        steps: number of Hessian-vector products before the last, ≥ 0.
        how: the iteration. Lanczos keeps steps + 1 vectors.

    Returns:
        eigenvalue (B,), the Rayleigh quotient uᵀHu, differentiable with u fixed (its exact derivative at an
        eigenvector), and eigenvector u (B, *S) of norm 1 and either sign, held fixed; 0 where power iteration meets
        Hv = 0.

    Cost: steps + 1 Hessian-vector products; Lanczos one more.
    """
