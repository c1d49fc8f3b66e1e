import torch

from impls.checks import checked
from impls.torch.derivatives import fixed_gradient, vjp
from impls.torch.norms import _wide, project, steepest


@checked
def fgm(loss, x, *, radius, norm="l2", scope="sample"):
    return (radius * steepest(_gradient(loss, x), norm=norm, scope=scope)).to(x.dtype).detach()


@checked
def pgd(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
    def inside(r):
        r = project(r, radius=radius, norm=norm)
        return r if bounds is None else torch.clamp(x + r, *bounds) - x  # shortens r: it stays in the ball

    r = inside(start)
    for _ in range(steps):
        r = inside(r + fgm(loss, x + r, radius=step, norm=norm))
    return r.detach()


@checked
def adversarial_loss(loss, x, perturbation, *, clean_weight=0.5):
    adversarial = loss(x + perturbation)  # (B,)
    if clean_weight == 0:
        return adversarial
    return clean_weight * loss(x) + (1 - clean_weight) * adversarial


@checked
def freelb_loss(loss, x, start, *, radius, step, steps, norm="l2"):
    r, values = project(start, radius=radius, norm=norm).detach(), []
    for _ in range(steps):
        value, pull = vjp(lambda r: loss(x + r), r)  # one forward pass for the loss and the ascent
        scale = _scale(value)
        with torch.no_grad():  # the ascent itself is not differentiated
            gradient = _unscaled(pull(scale), scale)
        r = project(_wide(r) + step * steepest(gradient, norm=norm), radius=radius, norm=norm).to(x.dtype).detach()
        values.append(value)
    return torch.stack(values).mean(0), r  # (B,), (B, *S)


def _gradient(loss, x):  # of each sample, in float32 where x is half precision
    return _unscaled(*fixed_gradient(loss, x, _scale))  # (B, *S)


def _scale(values):  # a small loss has a small gradient, which float16 loses: a power of two, exact to divide out
    values = values.detach()
    return torch.where((values > 0) & (values < 2**-10), torch.full_like(values, 2**12), torch.ones_like(values))


def _unscaled(gradient, scale):
    return _wide(gradient) / scale.to(_wide(gradient).dtype).reshape(-1, *[1] * (gradient.dim() - 1))
