import math

import jax

from impls.checks import checked
from impls.jax.norms import _product, unit


@checked
def spectral_norm(weight, u, *, steps=1):
    matrix = weight.reshape(weight.shape[0], -1)  # (O, n)
    for _ in range(steps):
        v = unit(_product(u, matrix)[None])[0]  # (n,)
        u = unit(_product(matrix, v)[None])[0]  # (O,)
    u, v = jax.lax.stop_gradient(u), jax.lax.stop_gradient(v)  # held fixed: ∂σ/∂W = uvᵀ
    return _product(u, _product(matrix, v)), u


@checked
def lipschitz_bound(weights, us, *, steps=1):
    bound = 1.0
    for weight, u in zip(weights, us, strict=True):
        reads = math.prod(weight.shape[2:])  # of each input by a kernel
        bound = bound * spectral_norm(weight, u, steps=steps)[0] * math.sqrt(reads)
    return bound
