import math

import torch

from impls.checks import checked
from impls.torch.norms import unit


@checked
def spectral_norm(weight, u, *, steps=1):
    matrix = weight.reshape(weight.shape[0], -1)  # (O, n)
    with torch.no_grad():  # u and v are held fixed: ∂σ/∂W = uvᵀ
        for _ in range(steps):
            v = unit((matrix.T @ u)[None])[0]  # (n,)
            u = unit((matrix @ v)[None])[0]  # (O,)
    u, v = u.detach(), v.detach()
    return u @ (matrix @ v), u


@checked
def lipschitz_bound(weights, us, *, steps=1):
    bound = 1.0
    for weight, u in zip(weights, us, strict=True):
        reads = math.prod(weight.shape[2:])  # of each input by a kernel
        bound = bound * spectral_norm(weight, u, steps=steps)[0] * math.sqrt(reads)
    return bound
