"""Equinox's own MLP, of one sample as its users write it, with a squared error."""

import equinox as eqx
import jax
import jax.numpy as jnp

model = eqx.nn.MLP(7, 2, 16, 2, activation=jnp.tanh, key=jax.random.key(0))


def loss(outputs, labels):
    return jnp.square(outputs - labels).sum(1)


keys = jax.random.split(jax.random.key(1))
batch = jax.random.normal(keys[0], (6, 7)), jax.random.normal(keys[1], (6, 2))
