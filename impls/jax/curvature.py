import jax
import jax.numpy as jnp

from impls.checks import checked
from impls.jax.norms import unit


@checked
def hvp(loss, x, vector):
    gradient = jax.grad(lambda x: loss(x).sum())  # rows of the batch do not mix: (B, *S)
    return jax.jvp(gradient, (x,), (vector,))[1]


@checked
def laplacian(loss, x, *, probes=None):
    vectors = probes  # (K, B, *S)
    if probes is None:
        n = x[0].size
        vectors = jnp.broadcast_to(jnp.eye(n, dtype=x.dtype).reshape(n, 1, *x.shape[1:]), (n, *x.shape))
    products = jax.vmap(lambda v: (v * hvp(loss, x, v)).reshape(x.shape[0], -1).sum(1))(vectors)  # (K, B)
    return products.sum(0) if probes is None else products.mean(0)  # (B,)


@checked
def top_eigenpair(loss, x, start, *, steps):
    vector = unit(start)
    for _ in range(steps):
        vector = unit(hvp(loss, x, vector))
    vector = jax.lax.stop_gradient(vector)
    value = (vector * hvp(loss, x, vector)).reshape(x.shape[0], -1).sum(1)
    return value, vector  # (B,), (B, *S)
