import torch

from impls.checks import checked
from impls.torch.norms import unit


@checked
def fgm(loss, x, *, radius, norm="l2", scope="sample"):
    with torch.no_grad():  # the attack's own gradient is not differentiated again
        gradient = torch.func.grad(lambda x: loss(x).sum())(x)  # (B, *S)
    if norm == "l2":
        gradient = unit(gradient, scope=scope)
    elif norm == "linf":
        gradient = torch.sign(gradient)
    return (radius * gradient).detach()
