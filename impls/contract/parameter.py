"""Perturbations of, and penalties on, the parameters; and flooding, which is such a penalty in disguise."""

from impls.contract.types import Loss, Number, Numbers, ParamDraws, Params, PerSample, Real, Scale


def parameter_gradient_penalty(loss: Loss, params: Params, *, rate: Scale) -> Number:
    """¼·rate·‖∇θL‖², L the mean of the losses: what gradient descent adds by itself (Barrett & Dherin 2021, eq. 1-2).

    Gradient descent on L with steps of size `rate` follows, to third order in it, the gradient flow of L plus this.

    Args:
        loss: params -> (B,), twice differentiable.
        params: {name: array}.
        rate: γ ≥ 0, a learning rate.

    Returns:
        (), differentiable in the parameters. Gradients of all sizes are squared as they are.

    Cost: forward 1, the parameters' gradient 2, and their backward pass 6: training step 9, floor 3 plain steps (the
    forward pass is shared with the loss).
    """


def flooding(loss: Numbers, *, level: Real) -> Numbers:
    """|L - b| + b: the loss turned upwards below the level b (Ishida et al. 2020, eq. 4).

    Near the level, steps of size η down and up by turns descend ½η‖∇L‖² (Su, 我们真的需要把训练集的损失降低到零吗).

    Args:
        loss: any shape. The paper's L is the batch's mean: reduce first. Of losses (B,) it floods each sample.
        level: b, a finite number.

    Returns:
        of the same shape; its gradient is 0 where the loss is at the level.

    Cost: none.
    """


def weight_noise(loss: Loss, params: Params, noise: ParamDraws) -> PerSample:
    """Mean loss over K noisy copies of the parameters: 1/K Σₖ loss(θ + noiseₖ); `noisy_loss` with θ in the place of x.

    Estimates ℓ + ½σ²Δ_θℓ + O(σ⁴) (An 1996).

    Args:
        loss: params -> (B,).
        params: {name: array}.
        noise: {name: (K, *shape)}, for every parameter, already scaled by σ.

    Returns:
        (B,).

    Cost: 3K for a training step. Floor K plain steps.
    """
