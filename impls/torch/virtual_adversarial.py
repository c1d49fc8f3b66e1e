import torch

from impls.checks import checked
from impls.torch.curvature import hvp
from impls.torch.derivatives import fixed_gradient
from impls.torch.losses import entropy, kl_divergence
from impls.torch.norms import unit


@checked
def vat_perturbation(f, x, start, *, radius, xi=0.01, steps=1, how="finite_difference"):
    with torch.no_grad():
        return _perturbation(f, x, f(x), start, radius, xi, steps, how)


@checked
def vat_loss(f, x, start, *, radius, xi=0.01, steps=1, how="finite_difference", entropy_weight=0.0, logits=None):
    if logits is None:
        with torch.set_grad_enabled(entropy_weight != 0 and torch.is_grad_enabled()):
            logits = f(x)
    clean = logits.detach()  # p(x) is held fixed, and shared by the power steps and the loss
    with torch.no_grad():
        perturbation = _perturbation(f, x, clean, start, radius, xi, steps, how)
    loss = kl_divergence(clean, f(x + perturbation))  # (B,)
    return loss if entropy_weight == 0 else loss + entropy_weight * entropy(logits)


def _perturbation(f, x, clean, start, radius, xi, steps, how):
    def divergence(r):
        return kl_divergence(clean, f(x + r))

    direction = unit(start)
    for _ in range(steps):
        if how == "exact":
            direction = unit(hvp(divergence, torch.zeros_like(x), direction))
        else:  # the gradient at r = 0 is 0, so the gradient at ξd is ξHd + O(ξ²)
            direction = unit(fixed_gradient(divergence, xi * direction))
    return (radius * direction).detach()
