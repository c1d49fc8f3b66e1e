"""A convolutional network in Flax NNX, with batch statistics that it keeps."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx


class Network(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(1, 6, (3, 3), strides=2, rngs=rngs)
        self.norm = nnx.BatchNorm(6, rngs=rngs)
        self.head = nnx.Linear(6 * 36, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.silu(self.norm(self.conv(x)))
        return self.head(x.reshape(len(x), -1))


model = Network(nnx.Rngs(0))
loss = optax.softmax_cross_entropy_with_integer_labels
batch = jax.random.uniform(jax.random.key(1), (5, 12, 12, 1)), jnp.asarray([0, 2, 1, 1, 0])
