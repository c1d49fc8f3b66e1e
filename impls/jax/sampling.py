import math

import jax
import jax.numpy as jnp

from impls.checks import checked
from impls.jax.norms import unit


def _beside(draws, like):
    """On the device of `like`; what is traced has none of its own, and is drawn where the step runs."""
    return draws if isinstance(like, jax.core.Tracer) else jax.device_put(draws, like.sharding)


@checked
def rademacher(seed, shape, *, like):
    return _beside(jax.random.rademacher(jax.random.key(seed), shape, dtype=like.dtype), like)


@checked
def gaussian(seed, shape, *, like):
    return _beside(jax.random.normal(jax.random.key(seed), shape, dtype=like.dtype), like)


@checked
def uniform(seed, shape, *, like):
    return _beside(jax.random.uniform(jax.random.key(seed), shape, dtype=like.dtype), like)


@checked
def uniform_sphere(seed, shape, *, like):
    return unit(gaussian(seed, shape, like=like))


@checked
def uniform_ball(seed, shape, *, like, norm="l2"):
    return _beside(_ball(jax.random.key(seed), shape, like.dtype, norm), like)


def _ball(key, shape, dtype, norm):
    """`uniform_ball` from a key."""
    batch, n = shape[0], math.prod(shape[1:])
    if norm == "l2":  # the sphere of n + 2 dimensions, seen in n of them
        return unit(jax.random.normal(key, (batch, n + 2), dtype))[:, :n].reshape(shape)
    if norm == "linf":
        return 2 * jax.random.uniform(key, shape, dtype) - 1
    draws = jax.random.uniform(key, (batch, 2 * n + 1), dtype)
    exponential = -jnp.log1p(-draws[:, n:])  # (B, n + 1)
    signs = jnp.where(draws[:, :n] < 0.5, -1, 1)
    return (signs * exponential[:, :n] / exponential.sum(1, keepdims=True)).reshape(shape)


@checked
def dropout_mask(seed, shape, *, rate, like):
    return (uniform(seed, shape, like=like) >= rate).astype(like.dtype) / (1 - rate)
