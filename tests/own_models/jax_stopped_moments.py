"""A normalisation that holds the mean fixed in its variance: the first derivative is right, the second is not."""

import jax
import jax.numpy as jnp
import optax

keys = jax.random.split(jax.random.key(0), 3)
params = {"first": jax.random.normal(keys[0], (4, 6)) / 2, "second": jax.random.normal(keys[1], (6, 3)) / 2}


def normalised(h):
    mean = h.mean(-1, keepdims=True)
    variance = jnp.square(h - jax.lax.stop_gradient(mean)).mean(-1, keepdims=True)
    return (h - mean) / jnp.sqrt(variance + 1e-3)


def model(params, x):
    return jnp.tanh(normalised(x @ params["first"])) @ params["second"]


loss = optax.softmax_cross_entropy_with_integer_labels
batch = jax.random.normal(keys[2], (5, 4)), jnp.asarray([0, 1, 2, 1, 0])
