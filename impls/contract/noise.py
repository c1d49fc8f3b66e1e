"""Training on randomly perturbed inputs."""

from impls.contract.types import Array, Divergence, Loss, Model


def noisy_loss(loss: Loss, x: Array, noise: Array) -> Array:
    """Mean loss over K noisy copies of each sample: 1/K Σₖ loss(x + noiseₖ).

    For noise σz with independent components of mean 0 and variance 1 it estimates ℓ + ½σ²Δℓ + O(σ⁴)
    (Bishop 1995, "Training with noise is equivalent to Tikhonov regularization").

    Args:
        loss: x (B, *S) -> (B,).
        x: (B, *S).
        noise: (K, B, *S), already scaled by σ.

    Returns:
        (B,).

    Cost: 3K for a training step: K forward passes and their backward passes. Floor K plain steps.
    """


def consistency_loss(divergence: Divergence, f: Model, x: Array, noise: Array) -> Array:
    """Mean divergence between the clean and the noisy outputs: 1/K Σₖ D(f(x), f(x + noiseₖ)).

    Estimates the Tikhonov penalty ½σ² Σᵢ λᵢ‖∇fᵢ‖² + O(σ⁴): λ = 2 for the squared error; for KL(p‖q) the sum is
    Σᵢ pᵢ‖∇log pᵢ‖². Gradients flow through both sides. Needs no labels.

    Args:
        divergence: (B, C), (B, C) -> (B,), zero where its arguments are equal.
        f: x (B, *S) -> (B, C).
        x: (B, *S).
        noise: (K, B, *S), already scaled by σ.

    Returns:
        (B,).

    Cost: K + 1 forward passes and their backward passes; with the clean outputs shared with the loss, K more than a
    plain step. Floor K + 1 plain steps.
    """
