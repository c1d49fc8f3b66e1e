"""A transformer's block in Flax Linen on tokens: embeddings, attention, layer norms, a feed-forward part."""

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn


class Transformer(nn.Module):
    @nn.compact
    def __call__(self, tokens):
        x = nn.Embed(60, 16, name="tokens")(tokens) + self.param("positions", nn.initializers.normal(0.1), (10, 16))
        y = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(num_heads=2, qkv_features=16)(y, y)
        y = nn.LayerNorm()(x)
        x = x + nn.Dense(16)(nn.gelu(nn.Dense(32)(y)))
        return nn.Dense(4)(nn.LayerNorm()(x).mean(1))


model = Transformer()
tokens = jax.random.randint(jax.random.key(1), (5, 10), 0, 60)
params = model.init(jax.random.key(0), tokens)
loss = optax.softmax_cross_entropy_with_integer_labels
batch = tokens, jnp.asarray([0, 3, 1, 2, 1])
