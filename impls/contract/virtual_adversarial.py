"""Virtual adversarial training: adversarial directions without labels (Miyato et al. 2018)."""

from typing import Literal

from impls.contract.types import (
    Batch,
    Classifier,
    Logits,
    OptionalWeight,
    PerSample,
    Positive,
    Same,
    Scale,
    Steps,
)


def vat_perturbation(
    f: Classifier,
    x: Batch,
    start: Same,
    *,
    radius: Scale,
    xi: Positive = 0.01,
    steps: Steps = 1,
    how: Literal["finite_difference", "exact"] = "finite_difference",
) -> Same:
    """The perturbation that changes the prediction most: radius times the top eigenvector of KL's Hessian at r = 0.

    f is called several times and must be the same function each time: a dropout mask is closed over, so that every pass
    shares it. With masks that differ the KL does not vanish at r = 0.

    Power iteration d ← unit(Hd) with H = ∇²ᵣ KL(p(x)‖p(x+r)) at 0, p(x) fixed. "finite_difference" uses
    Hd ≈ ∇ᵣKL|_{ξd} / ξ (their eq. 12; the gradient at 0 is 0), "exact" a Hessian-vector product.

    Args:
        f: x (B, *S) -> logits (B, C) of two classes or more. A single logit z, of a sigmoid, is the pair [z, 0].
        x: (B, *S).
        start: (B, *S), random, symmetric about 0; any length (it is normalised a sample).
        radius: length of the result, ≥ 0, in units of x.
        xi: step of the difference, > 0, in units of x. Its error is O(ξ), its rounding error O(u/ξ): the 1e-6 of
            some published codes is too small for float32. On real digits the worst sample's direction then points away
            from the exact one; from 1e-4 to 1 its cosine is above 0.99 (claim D3 measures it).
        steps: power iterations, ≥ 1.
        how: difference or exact product.

    Returns:
        (B, *S), held fixed, of norm `radius`; 0 for a sample whose KL does not curve along the start.

    Cost: 1 for the clean logits, 2 a step by differences, 4 a step exact.
    """


def vat_loss(
    f: Classifier,
    x: Batch,
    start: Same,
    *,
    radius: Scale,
    xi: Positive = 0.01,
    steps: Steps = 1,
    how: Literal["finite_difference", "exact"] = "finite_difference",
    entropy_weight: OptionalWeight = 0.0,
    logits: Logits | None = None,
) -> PerSample:
    """Local distributional smoothness KL(p(x)‖p(x+r)) at the virtual adversarial r, p(x) fixed (their eq. 5-6).

    Args:
        as for `vat_perturbation`, and
        entropy_weight: ≥ 0, of the entropy of p(x) that is added, through which gradients flow (their §4.2: VAT+EntMin
            has 1).
        logits: f(x), (B, C), where the loss has computed it already; None: it is computed here. They are taken as they
            are, in the power steps too: of a model with dropout, f(x) would be another draw.

    Returns:
        (B,), in nats, ≥ 0. Gradients flow through p(x+r) only, and through the entropy's p(x).

    Cost: clean logits 1 (the loss's, passed as `logits`), one power step by differences 2, the perturbed pass 1,
    backward through the clean and the perturbed pass 4: training step 8, floor 8/3 plain steps. The entropy costs none.
    """
