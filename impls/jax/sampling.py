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
    return _beside(jax.random.normal(jax.random.key(seed), shape, _wider(like.dtype)).astype(like.dtype), like)


@checked
def uniform(seed, shape, *, like):  # what half precision would round to 1 stays below it
    largest = 1 - float(jnp.finfo(like.dtype).eps) / 2
    return _beside(_uniform(seed, shape, like).astype(like.dtype).clip(max=largest), like)


def _uniform(seed, shape, like):
    return jax.random.uniform(jax.random.key(seed), shape, _wider(like.dtype))


def _wider(dtype):  # half precision has too few numbers between 0 and 1 to draw from
    return jnp.float32 if jnp.finfo(dtype).bits < 32 else dtype


@checked
def uniform_sphere(seed, shape, *, like):
    normal = jax.random.normal(jax.random.key(seed), shape, _wider(like.dtype))
    return _beside(unit(normal).astype(like.dtype), like)


@checked
def uniform_ball(seed, shape, *, like, norm="l2"):
    return _beside(_ball(jax.random.key(seed), shape, like.dtype, norm), like)


def _ball(key, shape, dtype, norm):
    """`uniform_ball` from a key."""
    batch, n = shape[0], math.prod(shape[1:])
    if norm == "l2":  # the sphere of n + 2 dimensions, seen in n of them
        return unit(jax.random.normal(key, (batch, n + 2), _wider(dtype)))[:, :n].reshape(shape).astype(dtype)
    if norm == "linf":
        return (2 * jax.random.uniform(key, shape, _wider(dtype)) - 1).astype(dtype)
    draws = jax.random.uniform(key, (batch, 2 * n + 1), _wider(dtype))
    exponential = -jnp.log1p(-draws[:, n:])  # (B, n + 1)
    signs = jnp.where(draws[:, :n] < 0.5, -1, 1)
    return (signs * exponential[:, :n] / exponential.sum(1, keepdims=True)).reshape(shape).astype(dtype)


@checked
def dropout_mask(seed, shape, *, rate, like):
    return _beside((_uniform(seed, shape, like) >= rate).astype(like.dtype), like) / (1 - rate)
