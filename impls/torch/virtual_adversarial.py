import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from impls.checks import checked
from impls.torch.curvature import hvp
from impls.torch.derivatives import fixed_gradient, linearize
from impls.torch.losses import entropy, kl_divergence
from impls.torch.norms import _scaled, _step, _wide, unit


@checked
def vat_perturbation(f, x, start, *, radius, xi=None, steps=1, how="fisher"):
    with torch.no_grad():
        return _perturbation(f, x, None, start, radius, xi, steps, how)


@checked
def vat_loss(f, x, start, *, radius, xi=None, steps=1, how="fisher", entropy_weight=0.0, logits=None):
    if logits is None and entropy_weight != 0:
        logits = f(x)
    with torch.no_grad():  # p(x) is held fixed, and shared by the power steps and the loss
        given = None if logits is None else logits.detach()
        perturbation, clean = _iterated(f, x, given, start, radius, xi, steps, how)
    loss = kl_divergence(clean, f(x + perturbation))  # (B,)
    return loss if entropy_weight == 0 else loss + entropy_weight * entropy(logits)


def _perturbation(f, x, clean, start, radius, xi, steps, how):
    return _iterated(f, x, clean, start, radius, xi, steps, how)[0]


def _iterated(f, x, clean, start, radius, xi, steps, how):  # the perturbation, and the clean logits
    direction = unit(_wide(start))
    product, clean = _product(f, x, clean, xi, how, direction if steps == 1 else None)
    for _ in range(steps):
        direction = unit(_wide(product(direction)))
    return (radius * direction).to(x.dtype).detach(), clean


def _product(f, x, clean, xi, how, only=None):  # d -> Hd, up to a factor a sample, and the clean logits
    def scaled(array):
        return _largest_1(array, x.shape[0])

    if how == "fisher":
        with sdpa_kernel(SDPBackend.MATH):  # fused attention has no second backward pass
            logits, push, pull = linearize(f, x, None if only is None else scaled(only).to(x.dtype))
        clean = logits if clean is None else clean
        return _fisher_product(push, pull, clean, logits.dtype, scaled), clean
    clean = f(x) if clean is None else clean
    if how == "exact":

        def divergence(r):
            return kl_divergence(clean, f(x + r))

        return (lambda d: hvp(divergence, torch.zeros_like(x), d.to(x.dtype))), clean
    step = _step(xi, x, clean, order=1)

    def difference(d):  # the gradient at r = 0 is 0, so the gradient at ξd is ξHd + O(ξ²)
        def change(logits):
            return scaled(_softmax_change(clean, logits)).to(logits.dtype)

        return fixed_gradient(f, x + (step * d).to(x.dtype), change)[0]

    return difference, clean


def _fisher_product(push, pull, clean, dtype, scaled, counts=1):  # Jᵀ(diag p - ppᵀ)J from d -> Jd and u -> Jᵀu
    p = torch.softmax(_wide(clean), -1)
    likeliest = p.argmax(-1, keepdim=True)

    def product(d):
        change = _wide(push(scaled(d)))  # Jd
        change = change - change.gather(-1, likeliest)  # exact where p is nearly 1
        weights = counts * p * (change - (p * change).sum(-1, keepdim=True))
        return pull(scaled(weights).to(dtype))

    return product


def _largest_1(array, count):  # for each of as many vectors, or 0: half precision loses what is small
    return _scaled(array.reshape(count, -1))[0].reshape(array.shape)


def _softmax_change(clean, logits):  # q - p = p(e^ρ - 1), without cancellation where ρ = log q - log p is small
    log_p, log_q = torch.log_softmax(_wide(clean), -1), torch.log_softmax(_wide(logits), -1)
    ratio = log_q - log_p
    near = ratio.abs() < 1
    return torch.where(near, log_p.exp() * torch.expm1(torch.where(near, ratio, 0)), log_q.exp() - log_p.exp())
