"""Small models without state, and what compares steps on them with steps written by hand in plain JAX."""

import jax
import jax.numpy as jnp
import numpy as np

BATCH, LENGTH, WIDTH, CLASSES, VOCABULARY, RADIUS = 6, 3, 4, 3, 7, 0.5


KEY = 3


def numbers():
    """Parameters, inputs (B, 4) and (B, 3, 4), tokens (B, 3), a padding mask, labels (B,) and (B, 3)."""
    rng = np.random.default_rng(0)
    params = {"table": rng.standard_normal((VOCABULARY, WIDTH)), "kernel": rng.standard_normal((WIDTH, CLASSES))}
    x, sequences = rng.standard_normal((BATCH, WIDTH)), rng.standard_normal((BATCH, LENGTH, WIDTH))
    mask = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0]] * 2, float)
    tokens, labels = rng.integers(VOCABULARY, size=(BATCH, LENGTH)), rng.integers(CLASSES, size=BATCH)
    each = {"params": params, "x": x, "sequences": sequences, "tokens": tokens, "mask": mask, "labels": labels}
    return jax.tree.map(jnp.asarray, each | {"each": rng.integers(CLASSES, size=(BATCH, LENGTH))})


def image(params, x):
    return jnp.tanh(x @ params["kernel"])


def text(params, tokens):
    return image(params, jnp.tanh(params["table"][tokens]).mean(1))


def tagger(params, sequences, *mask):
    """Logits (B, T, C); positions see one another."""
    return jnp.tanh(sequences + sequences.mean(1, keepdims=True)) @ params["kernel"]


def assert_close(found, wanted, units=64):
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(wanted))
    assert scale > 0
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=units * 2**-53 * scale)


def slopes(objective):
    """Compiled: the gradient of the values' mean in the parameters, and the values."""

    def run(params):
        values = objective(params)
        return values.mean(), values

    return jax.jit(jax.grad(run, has_aux=True))


def length(r):
    """Of one vector a sample, to divide by."""
    return jnp.sqrt(jnp.square(r).sum(tuple(range(1, r.ndim)), keepdims=True))


def lengths(x):
    return jnp.sqrt(jnp.square(x).sum(tuple(range(1, x.ndim)), keepdims=True))
