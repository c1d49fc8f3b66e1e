import torch

from impls.checks import checked
from impls.torch.norms import unit


@checked
def hvp(loss, x, vector):
    gradient = torch.func.grad(lambda x: loss(x).sum())  # rows of the batch do not mix: (B, *S)
    return torch.func.jvp(gradient, (x,), (vector,))[1]


@checked
def laplacian(loss, x, *, probes=None):
    vectors = probes  # (K, B, *S)
    if probes is None:
        n = x[0].numel()
        vectors = torch.eye(n, dtype=x.dtype, device=x.device).reshape(n, 1, *x.shape[1:]).expand(n, *x.shape)
    products = torch.func.vmap(lambda v: (v * hvp(loss, x, v)).reshape(x.shape[0], -1).sum(1))(vectors)  # (K, B)
    return products.sum(0) if probes is None else products.mean(0)  # (B,)


@checked
def top_eigenpair(loss, x, start, *, steps):
    with torch.no_grad():
        vector = unit(start)
        for _ in range(steps):
            vector = unit(hvp(loss, x, vector))
    vector = vector.detach()
    value = (vector * hvp(loss, x, vector)).reshape(x.shape[0], -1).sum(1)
    return value, vector  # (B,), (B, *S)
