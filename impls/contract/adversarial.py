"""Perturbations along the gradient of the loss, and training on them."""

from typing import Literal

from impls.contract.types import Batch, Bounds, Loss, MixingWeight, PerSample, Same, Scale, Steps


def fgm(
    loss: Loss,
    x: Batch,
    *,
    radius: Scale,
    norm: Literal["l2", "linf", "l1", "raw"] = "l2",
    scope: Literal["sample", "tensor"] = "sample",
) -> Same:
    """Fast gradient method: the perturbation of the given size that raises the linearised loss most.

    With g = ∇ₓloss: "l2" radius·g/‖g‖₂ (Miyato et al. 2017, eq. 5), "linf" radius·sign g (Goodfellow et al. 2015,
    FGSM), "l1" all of the radius on the largest |gᵢ|, "raw" radius·g. Training on loss(x + r) with r fixed is, to first
    order in the radius, training with the penalty radius·‖g‖₂, radius·‖g‖₁, radius·‖g‖_∞, ½radius·‖g‖² respectively.

    Args:
        loss: x (B, *S) -> (B,).
        x: (B, *S).
        radius: ≥ 0, in units of x ("raw": units of x² per nat). An entry of x moves where the perturbation is at least
            half the distance to the dtype's next number, |x|·2⁻⁹ to |x|·2⁻⁸ in bfloat16. A smaller one is lost in x+r.
        norm: the ball that the perturbation lies in; "raw" leaves the gradient as it is.
        scope: one norm a sample, or one norm for the whole tensor (what the usual embedding-table snippet does:
            perturbations then depend on the other samples of the batch). Matters for "l2" and "l1" only.

    Returns:
        (B, *S), held fixed; 0 for a sample whose gradient is 0.

    Cost: 2 (forward, gradient of the inputs alone). Training step 2 + 3 = 5: floor 5/3 plain steps.
    """


def pgd(
    loss: Loss,
    x: Batch,
    start: Same,
    *,
    radius: Scale,
    step: Scale,
    steps: Steps,
    norm: Literal["l2", "linf", "l1"] = "l2",
    bounds: Bounds = None,
) -> Same:
    """Projected gradient ascent on the loss within a ball around x (Madry et al. 2018, eq. 2.2).

    r ← project(r + step·steepest(∇ₓloss(x + r))), K times; every step ends in the ball, and in the box where there
    is one. One step of size radius from start 0 is `fgm`.

    Args:
        loss: x (B, *S) -> (B,).
        x: (B, *S), within the bounds.
        start: (B, *S), the perturbation to begin with: `radius · uniform_ball(…, norm=norm)`, or zeros. It is projected
            first.
        radius: of the ball, ≥ 0, in units of x.
        step: length of a step in the same norm, ≥ 0.
        steps: K ≥ 1.
        norm: of the ball and of the steps.
        bounds: lowest and highest value that a component of x + r may take, (0, 1) for images; None for any.

    Returns:
        (B, *S), held fixed, ‖r‖ ≤ radius.

    Cost: 2K. Training step 2K + 3: floor (2K+3)/3 plain steps.
    """


def adversarial_loss(loss: Loss, x: Batch, perturbation: Same, *, clean_weight: MixingWeight = 0.5) -> PerSample:
    """Clean and adversarial loss mixed, α·loss(x) + (1-α)·loss(x + r) (Goodfellow et al. 2015, §6).

    Args:
        loss: x (B, *S) -> (B,).
        x: (B, *S).
        perturbation: (B, *S), r.
        clean_weight: α in [0, 1]: ½ in Goodfellow's paper; 0, the adversarial loss alone, in most snippets for text.
            With 0 the clean loss is not evaluated.

    Returns:
        (B,).

    Cost: 6 for the two losses and their backward passes, 3 with weight 0, beside that of the perturbation.
    """


def freelb_loss(
    loss: Loss,
    x: Batch,
    start: Same,
    *,
    radius: Scale,
    step: Scale,
    steps: Steps,
    norm: Literal["l2", "linf", "l1"] = "l2",
) -> tuple[PerSample, Same]:
    """Mean loss over the K points of a gradient ascent, 1/K Σₖ loss(x + rₖ), rₖ held fixed (Zhu et al. 2020, alg. 1).

    r₀ is the start, projected; rₖ₊₁ = project(rₖ + step·steepest(∇ₓloss(x + rₖ))). The parameters' gradient is the mean
    of those at all points of the ascent. With steps=1, an optimiser step after each call and the perturbation carried
    over as the next start it is free adversarial training (Shafahi et al. 2019, alg. 1).

    Args:
        loss: x (B, *S) -> (B,).
        x: (B, *S).
        start: (B, *S), the first perturbation.
        radius: of the ball, ≥ 0, in units of x.
        step: length of a step in the same norm, ≥ 0.
        steps: K ≥ 1.
        norm: of the ball and of the steps.

    Returns:
        values (B,), and the perturbation after the last step (B, *S), held fixed.

    Cost: 4K: each point's forward pass, its input gradient, and the backward pass. Floor 4K/3 plain steps; K where one
    backward pass gives both gradients, which a loss with its parameters closed over cannot.
    """
