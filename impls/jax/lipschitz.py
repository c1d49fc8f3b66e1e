import math

import jax

from impls.checks import checked
from impls.jax.iterations import repeated
from impls.jax.norms import _product, unit


@checked
def spectral_norm(weight, u, *, steps=1):
    matrix = weight.reshape(weight.shape[0], -1)  # (O, n)
    fixed = jax.lax.stop_gradient(matrix)  # u and v are: ∂σ/∂W = uvᵀ

    def turned(vectors):
        v = unit(_product(vectors[0], fixed)[None])[0]  # (n,)
        return unit(_product(fixed, v)[None])[0], v  # (O,), (n,)

    u, v = repeated(turned, (jax.lax.stop_gradient(u), None), steps)
    return _product(u, _product(matrix, v)), u


@checked
def lipschitz_bound(weights, us, *, steps=1):
    bound = 1.0
    for weight, u in zip(weights, us, strict=True):
        reads = math.prod(weight.shape[2:])  # of each input by a kernel
        bound = bound * spectral_norm(weight, u, steps=steps)[0] * math.sqrt(reads)
    return bound
