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

    - "fisher": with z = f(x + r), q = softmax z and J = ∂z/∂r, the divergence has the gradient Jᵀ(q - p) and the
      Hessian Jᵀ(diag q - qqᵀ)J + Σᵢ(qᵢ - pᵢ)∇²zᵢ. At r = 0, where q = p, the second part is 0 and the first is the
      Fisher metric: Hd = Jᵀw with w = p⊙(Jd - p·Jd). That is exact, without a step to choose and without a second
      derivative of f. Nothing cancels in half precision: w is computed in float32, of changes against those of the
      likeliest class, and Jd and Jᵀw are taken of vectors whose largest entry is 1, since a factor does not turn Hd.
    - "finite_difference": Hd ≈ ∇ᵣKL|_{ξd} / ξ (their eq. 12; the gradient at 0 is 0), wrong by O(ξ).
    - "exact": a Hessian-vector product of the divergence, by second derivatives of f.

    In half precision a difference loses what f(x + ξd) and f(x) have in common. Of a network 784-256-10 in bfloat16
    nothing is left at ξ = 0.01; with ξ = None the worst of 64 samples has a cosine of 0.99 with the exact direction, or
    of 0.93 where predictions are confident, and 0.9999 by "fisher".

    Args:
        f: x (B, *S) -> logits (B, C) of two classes or more. A single logit z, of a sigmoid, is the pair [z, 0]. They
            may have another dtype than x. "fisher" and "exact" differentiate its backward pass, which must allow it;
            for "fisher" PyTorch's fused attention is replaced by the plain one.
        x: (B, *S).
        start: (B, *S), random, symmetric about 0; any length (it is normalised a sample).
        radius: length of the result, ≥ 0, in units of x.
        xi: step of the difference, > 0, in units of x; the other ways have none. None: ξ = √u·max(‖x‖₂, 1) a sample, u
            the larger rounding unit of x and of the logits. For a model that bends over distances of ‖x‖ the difference
            is wrong by ξ/‖x‖, relative to Hd, and by u‖x‖/ξ since x + ξd and all that follows is rounded: at this ξ the
            two are equal. A model that computes in half precision and returns float32 hides its u: choose ξ yourself,
            or another way. A ξ that is 0 in the dtype of x is refused. The 1e-6 of some published codes is too small
            for float32. On real digits the worst sample's direction then points away from the exact one; from 1e-4 to 1
            its cosine is above 0.99 (claim D3).
        steps: power iterations, ≥ 1.
        how: the way to Hd.

    Returns:
        (B, *S), held fixed, of norm `radius`; 0 for a sample whose KL does not curve along the start.

    Cost: 1 for the clean logits, and 2 a step (Jd and Jᵀw, or forward and input gradient); 4 a step exact. "fisher"
    takes Jd by the transpose of u -> Jᵀu, which is there where forward mode is missing. Without a compiler, which
    leaves Jᵀu itself out, that is 1 more for all steps; PyTorch takes a single step's Jd in forward mode, with the
    clean logits, wherever every operation of f has one.
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
    clean and the perturbed pass 4: training step 8, floor 8/3 plain steps. The entropy costs none. "fisher" has a clean
    pass of its own: where `logits` are given, a compiler that sees both takes them for one. Eager PyTorch does not:
    there it takes 9 passes, and "finite_difference" 8; where none are given, both take 9.
    """
