import torch

from impls.checks import checked
from impls.torch.norms import l2_norm


@checked
def input_gradient_penalty(loss, x, *, norm="l2_squared"):
    gradient = torch.func.grad(lambda x: loss(x).sum())(x)  # (B, *S)
    if norm == "l2_squared":
        return gradient.reshape(x.shape[0], -1).square().sum(1)  # (B,)
    if norm == "l2":
        return l2_norm(gradient)
    return (gradient * gradient.sign()).reshape(x.shape[0], -1).sum(1)  # |g|, of slope 0 at 0


@checked
def jacobian_penalty(f, x, *, weights=None, probes=None):
    outputs, vjp = torch.func.vjp(f, x)  # (B, C)
    if probes is not None:
        rows = probes if weights is None else probes * weights.sqrt()  # (K, B, C)
        return _squared_norms(vjp, rows).mean(0)
    batch, classes = outputs.shape
    rows = torch.eye(classes, dtype=x.dtype, device=x.device)[:, None].expand(classes, batch, classes)
    squares = _squared_norms(vjp, rows)  # (C, B)
    return (squares if weights is None else squares * weights.T).sum(0)


def _squared_norms(vjp, rows):
    gradients = torch.func.vmap(lambda row: vjp(row)[0])(rows)  # (K, B, *S)
    return gradients.reshape(*rows.shape[:2], -1).square().sum(2)  # (K, B)
