import torch

from impls.checks import checked
from impls.torch.derivatives import fixed_gradient, vjp
from impls.torch.norms import project, steepest


@checked
def fgm(loss, x, *, radius, norm="l2", scope="sample"):
    gradient = fixed_gradient(loss, x)  # (B, *S)
    return (radius * steepest(gradient, norm=norm, scope=scope)).detach()


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
        with torch.no_grad():  # the ascent itself is not differentiated
            gradient = pull(torch.ones_like(value))
        r = project(r + step * steepest(gradient, norm=norm), radius=radius, norm=norm).detach()
        values.append(value)
    return torch.stack(values).mean(0), r  # (B,), (B, *S)
