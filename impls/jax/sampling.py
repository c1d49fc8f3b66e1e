import math

import jax
import jax.numpy as jnp

from impls.checks import checked
from impls.jax.norms import unit


@checked
def rademacher(seed, shape, *, like):
    key = jax.random.key(seed)
    return jax.device_put(jax.random.rademacher(key, shape, dtype=like.dtype), like.sharding)


@checked
def gaussian(seed, shape, *, like):
    key = jax.random.key(seed)
    return jax.device_put(jax.random.normal(key, shape, dtype=like.dtype), like.sharding)


@checked
def uniform(seed, shape, *, like):
    key = jax.random.key(seed)
    return jax.device_put(jax.random.uniform(key, shape, dtype=like.dtype), like.sharding)


@checked
def uniform_sphere(seed, shape, *, like):
    return unit(gaussian(seed, shape, like=like))


@checked
def uniform_ball(seed, shape, *, like, norm="l2"):
    batch, n = shape[0], math.prod(shape[1:])
    if norm == "l2":  # the sphere of n + 2 dimensions, seen in n of them
        return unit(gaussian(seed, (batch, n + 2), like=like))[:, :n].reshape(shape)
    if norm == "linf":
        return 2 * uniform(seed, shape, like=like) - 1
    draws = uniform(seed, (batch, 2 * n + 1), like=like)
    exponential = -jnp.log1p(-draws[:, n:])  # (B, n + 1)
    signs = jnp.where(draws[:, :n] < 0.5, -1, 1)
    return (signs * exponential[:, :n] / exponential.sum(1, keepdims=True)).reshape(shape)


@checked
def dropout_mask(seed, shape, *, rate, like):
    return (uniform(seed, shape, like=like) >= rate).astype(like.dtype) / (1 - rate)
