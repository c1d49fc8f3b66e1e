"""Training on randomly perturbed inputs."""

from impls.contract.types import Batch, Divergence, Draws, Labels, Loss, Model, Outputs, PerSample, Share


def noisy_loss(loss: Loss, x: Batch, noise: Draws) -> PerSample:
    """Mean loss over K noisy copies of each sample: 1/K Σₖ loss(x + noiseₖ).

    x is whatever the noise is added to: inputs, a hidden activation, an embedding's output (for weights see
    `weight_noise`). For noise σz with independent components of mean 0 and variance 1 it estimates ℓ + ½σ²Δℓ + O(σ⁴)
    (Bishop 1995, "Training with noise is equivalent to Tikhonov regularization").

    Args:
        loss: x (B, *S) -> (B,).
        x: (B, *S).
        noise: (K, B, *S), already scaled by σ.

    Returns:
        (B,).

    Cost: 3K for a training step: K forward passes and their backward passes. Floor K plain steps.
    """


def consistency_loss(
    divergence: Divergence, f: Model, x: Batch, noise: Draws, *, outputs: Outputs | None = None
) -> PerSample:
    """Mean divergence between the clean and the noisy outputs: 1/K Σₖ D(f(x), f(x + noiseₖ)).

    Estimates the Tikhonov penalty ½σ² Σᵢ λᵢ‖∇fᵢ‖² + O(σ⁴): λ = 2 for the squared error; for KL(p‖q) the sum is
    Σᵢ pᵢ‖∇log pᵢ‖², in either direction (for the reverse swap the divergence's arguments). Gradients flow through both
    sides. Needs no labels.

    Args:
        divergence: (B, C), (B, C) -> (B,), zero where its arguments are equal.
        f: x (B, *S) -> (B, C).
        x: (B, *S).
        noise: (K, B, *S), already scaled by σ.
        outputs: f(x), (B, C), where the loss has computed it already; None: it is computed here. They are taken as they
            are: of a model with dropout, f(x) would be another draw.

    Returns:
        (B,).

    Cost: K + 1 forward passes and their backward passes; with the loss's own outputs K plain steps more than one. Floor
    K + 1 plain steps.
    """


def dropout_loss(loss: Loss, x: Batch, masks: Draws) -> PerSample:
    """Mean loss over K masked copies of each sample: 1/K Σₖ loss(x · maskₖ), multiplicative noise.

    With masks of mean 1 and variance v, independent, it estimates ℓ + ½v Σⱼ xⱼ² ∂ⱼ²ℓ + …; inverted dropout of rate q
    (`dropout_mask`) has v = q/(1-q), and on a linear model with squared error adds exactly v Σⱼ xⱼ²‖W₍:,ⱼ₎‖² (Wager et
    al. 2013). Any multiplicative noise will do, normal or uniform about 1 for instance.

    Args:
        loss: x (B, *S) -> (B,).
        x: (B, *S).
        masks: (K, B, *S), what x is multiplied by; already scaled to mean 1.

    Returns:
        (B,).

    Cost: 3K for a training step. Floor K plain steps.
    """


def smooth_labels(labels: Labels, *, smoothing: Share, like: Outputs) -> Outputs:
    """Label smoothing, (1-s)·y + s/C (Szegedy et al. 2016, §7).

    The cross-entropy with smoothed labels is the expectation of that with labels redrawn uniformly with probability s.

    Args:
        labels: (B,) integer class numbers in [0, C), or (B, C) floating-point probabilities that sum to 1.
        smoothing: s, in [0, 1].
        like: (B, C) floating point, the logits for instance: shape and dtype of the result.

    Returns:
        (B, C), soft labels for `cross_entropy`.

    Raises:
        ValueError: labels have neither of the two shapes, or the dtype of the other one.
    """
