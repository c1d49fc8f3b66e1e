import jax

from impls.checks import checked


@checked
def rademacher(seed, shape, *, like):
    key = jax.random.key(seed)
    signs = jax.random.rademacher(key, shape, dtype=like.dtype)
    return jax.device_put(signs, like.sharding)


@checked
def gaussian(seed, shape, *, like):
    key = jax.random.key(seed)
    return jax.device_put(jax.random.normal(key, shape, dtype=like.dtype), like.sharding)
