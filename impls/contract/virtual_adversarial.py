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
    xi: Positive | None = None,
    steps: Steps = 1,
    how: Literal["fisher", "finite_difference", "exact"] = "fisher",
) -> Same:
    """The perturbation that changes the prediction most: radius times the top eigenvector of KL's Hessian at r = 0.

    f is called several times and must be the same function each time: a dropout mask is closed over, so that every pass
    shares it. With masks that differ the KL does not vanish at r = 0.

    Power iteration d ← unit(Hd) with H = ∇²ᵣ KL(p(x)‖p(x+r)) at 0, p(x) fixed. There are three ways to Hd:

    - "fisher": with z = f(x + r) and J = ∂z/∂r, ∇ᵣKL is Jᵀ(q - p), and its derivative Jᵀ(diag q - qqᵀ)J + Σᵢ(qᵢ - pᵢ)∇²zᵢ.
      At r = 0, where q = p, only the first part is left, the Fisher metric: Hd = Jᵀw, w = p⊙(Jd - p·Jd). It is exact,
      there is no step to choose, and nothing is differentiated twice but Jᵀu in u, in which it is linear. Nothing cancels
      in half precision: w is computed in float32, from changes against the likeliest class, and Jd and Jᵀw are taken of
      vectors whose largest entry is 1, since a factor does not turn Hd.
    - "finite_difference": Hd ≈ ∇ᵣKL|_{ξd} / ξ (their eq. 12; the gradient at 0 is 0), wrong by O(ξ).
    - "exact": a Hessian-vector product of the divergence, by second derivatives of f.

    Half precision: the difference loses what f(x + ξd) and f(x) have in common. Of a 784-256-10 network in bfloat16 with
    ξ = 0.01 nothing is left; with ξ = None the worst sample's direction has a cosine of 0.99 with the exact one, of
    confident predictions 0.93, while that of "fisher" has 0.9999.

    Args:
        f: x (B, *S) -> logits (B, C) of two classes or more. A single logit z, of a sigmoid, is the pair [z, 0]. Its
            logits may have another dtype than x. "fisher" and "exact" differentiate its backward pass, so that this must
            be differentiable; in PyTorch fused attention is replaced by its plain form for it.
        x: (B, *S).
        start: (B, *S), random, symmetric about 0; any length (it is normalised a sample).
        radius: length of the result, ≥ 0, in units of x.
        xi: step of the difference, > 0, in units of x; other ways have none. None: ξ = √u·max(‖x‖₂, 1) a sample, u the
            larger rounding unit of x and of the logits. For a model that bends over distances of ‖x‖ the difference is
            wrong by ξ/‖x‖, relative to Hd, and x + ξd and what is computed from it by u‖x‖/ξ: at this ξ the two are
            equal. A model that computes in half precision and returns float32 does not show it: choose ξ yourself, or
            another way. The 1e-6 of some published codes is too small for float32. On real digits the worst sample's
            direction then points away from the exact one; from 1e-4 to 1 its cosine is above 0.99 (claim D3 measures it).
        steps: power iterations, ≥ 1.
        how: the way to Hd.

    Returns:
        (B, *S), held fixed, of norm `radius`; 0 for a sample whose KL does not curve along the start.

    Cost: 1 for the clean logits, and 2 a step (Jd and Jᵀw, or forward and input gradient), 4 a step exact. "fisher" takes
    Jd by the transpose of Jᵀu, which is there where forward mode is missing; without a compiler that leaves out Jᵀu itself
    this is 1 more for all steps.
    """


def vat_loss(
    f: Classifier,
    x: Batch,
    start: Same,
    *,
    radius: Scale,
    xi: Positive | None = None,
    steps: Steps = 1,
    how: Literal["fisher", "finite_difference", "exact"] = "fisher",
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

    Cost: clean logits 1 (the loss's, passed as `logits`), one power step 2, the perturbed pass 1, backward through the
    clean and the perturbed pass 4: training step 8, floor 8/3 plain steps. The entropy costs none. "fisher" needs a clean
    pass of its own beside given logits, which a compiler that sees both takes for one; without one it is the faster way
    where `logits` is left out and the loss does not need them.
    """
