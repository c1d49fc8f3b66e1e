"""Penalties on first derivatives with respect to the inputs."""

from typing import Literal

from impls.contract.types import (
    Batch,
    ClassProbes,
    Loss,
    Mix,
    Model,
    ModelOrClassifier,
    Outputs,
    PerSample,
    Positive,
    Same,
    Scale,
    Weights,
)


def input_gradient_penalty(
    loss: Loss,
    x: Batch,
    *,
    norm: Literal["l2_squared", "l2", "l1"] = "l2_squared",
    how: Literal["double_backward", "forward_over_reverse", "finite_difference"] = "double_backward",
    xi: Positive | None = None,
    with_loss: bool = False,
) -> PerSample | tuple[PerSample, PerSample]:
    """Norm of the loss's input gradient, differentiable in the parameters: ‖∇ₓℓ‖², ‖∇ₓℓ‖₂ or ‖∇ₓℓ‖₁.

    No factor is applied: FGM with "raw", "l2", "linf" corresponds to ½ε, ε, ε times this
    (Drucker & LeCun 1992; Ross & Doshi-Velez 2018).

    The value is the same in each way; they differ in how its gradient comes about. With N the norm, g = ∇ₓℓ and
    d = ∂N/∂g held fixed, ∇N = ∇⟨∇ₓℓ, d⟩: the gradient of the loss's derivative along d.

    - "double_backward" differentiates through the backward pass.
    - "forward_over_reverse" finds g by a backward pass, then takes the derivative along d in forward mode.
    - "finite_difference" takes it as (ℓ(x + ξu) - ℓ(x - ξu))·‖d‖/2ξ, u = d/‖d‖: first derivatives alone, so that it
      works where nothing can be differentiated twice; its error is O(ξ²), its rounding error O(u/ξ).

    Both of these call the loss more than once, and it must be the same function each time: a dropout mask is closed
    over. The difference attributes losses to samples, and is wrong with batch statistics.

    Args:
        loss: x (B, *S) -> (B,), twice differentiable (finite difference: once).
        x: (B, *S).
        norm: which norm of the gradient.
        how: the way to the gradient.
        xi: step of the difference, > 0, in units of x. None: ξ = ∛u·max(‖x‖₂, 1) a sample, u the larger rounding unit
            of x and of the losses. For a loss that bends over distances of ‖x‖ the difference is wrong by (ξ/‖x‖)² and
            by u‖x‖/ξ, relative to its size: at this ξ the two are equal.
        with_loss: also return the losses, which the penalty computes anyway: loss + weight·penalty then has one forward
            pass, where a call of its own for the loss pays for a second one and its backward pass.

    Returns:
        (B,), with the losses (penalty, loss), (B,) each; "l2" has gradient 0 where the norm is 0.

    Cost: with the loss 2 (forward, input gradient) and their backward pass 4: training step 6, floor 2 plain steps; 3
    more where the loss is computed apart. Forward over reverse: 2, then 2 along d and 4 backward: 8. Finite difference:
    2, backward through the loss 2, two more forward passes and their backward passes 6: 10.

    Passes are not time. XLA on a CPU is slow at the kernel's gradient of a convolution's backward pass, which only a
    double backward needs (jax-ml/jax#31662, openxla/xla#34273): for convolutional networks in JAX, forward over reverse
    is the faster way there, although it is more passes. In PyTorch it is not.
    """


def jacobian_penalty(
    f: Model, x: Batch, *, weights: Weights | None = None, probes: ClassProbes | None = None, with_outputs: bool = False
) -> PerSample | tuple[PerSample, Outputs]:
    """Weighted squared Frobenius norm of the Jacobian, Σᵢ wᵢ‖∇fᵢ‖², exact or estimated by probes.

    With probes η of mean 0 and covariance I, E‖Σᵢ ηᵢ√wᵢ∇fᵢ‖² is that sum (Hutchinson 1990; Hoffman et al. 2019).
    The variance of one probe is 2(‖A‖²_F - Σaᵢᵢ²) for Rademacher, 2‖A‖²_F for Gaussian probes, A = √w JJᵀ √w.

    Args:
        f: x (B, *S) -> (B, C).
        x: (B, *S).
        weights: (B, C), ≥ 0, or None for ones. Gradients flow through them.
        probes: (K, B, C), one estimate a leading index, averaged; None for the exact sum over the C rows.
        with_outputs: also return f(x), which the penalty computes anyway, for the loss.

    Returns:
        (B,), with the outputs (penalty, outputs), (B,) and (B, C).

    Cost: exact 1 + C, with K probes 1 + K, and their backward pass twice that: floor (1+K) plain steps with K
    probes, (1+C) exact, if the loss takes the outputs from here; 1 more where it is computed apart.
    """


def tikhonov_penalty(
    divergence: Literal["squared_error", "kl_divergence"],
    f: ModelOrClassifier,
    x: Batch,
    *,
    probes: ClassProbes | None = None,
    with_outputs: bool = False,
) -> PerSample | tuple[PerSample, Outputs]:
    """What small noise makes of a consistency loss: Σᵢ λᵢ‖∇fᵢ‖², exact or estimated by probes.

    E D(f(x), f(x+σz)) = ½σ² times this + O(σ⁴) for noise of mean 0 and variance σ², λᵢ = ∂²D/∂fᵢ² (Bishop 1995). For
    the squared error of the outputs λ = 2; for KL(p‖q) or KL(q‖p) of softmax(f) it is Σᵢ pᵢ‖∇log pᵢ‖², λᵢ = 1/pᵢ.

    Args:
        divergence: which λ.
        f: x (B, *S) -> (B, C), for "kl_divergence" logits of two classes or more.
        x: (B, *S).
        probes: (K, B, C), of mean 0 and covariance I, averaged; None for the exact sum over the C rows.
        with_outputs: also return f(x), which the penalty computes anyway, for the loss.

    Returns:
        (B,), with the outputs (penalty, outputs), (B,) and (B, C).

    Cost: that of `jacobian_penalty`.
    """


def wgan_gradient_penalty(critic: Loss, real: Batch, fake: Same, mix: Mix, *, target: Scale = 1.0) -> PerSample:
    """(‖∇critic(x̂)‖₂ - target)² at x̂ = mix·real + (1 - mix)·fake (Gulrajani et al. 2017, eq. 3).

    No factor is applied. target=1 is WGAN-GP; target=0 centres at zero, and with mix=1 is R1, ‖∇critic(real)‖²
    (Mescheder et al. 2018, eq. 9).

    Args:
        critic: x (B, *S) -> (B,), twice differentiable; sample b of the result depends on sample b alone, so no batch
            normalisation.
        real: (B, *S).
        fake: (B, *S), held fixed by the caller when it comes from a generator.
        mix: (B,), one weight a sample in [0, 1], uniform (`uniform`).
        target: norm at which the penalty is 0, ≥ 0.

    Returns:
        (B,); finite, with a gradient of 0 from a sample whose critic gradient is 0.

    Cost: that of `input_gradient_penalty`, the interpolates' forward pass not shared.
    """
