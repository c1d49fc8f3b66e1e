"""Small models that draw masks and keep statistics, their parameters nested as Flax has them, and hashes of all."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from impls.jax.losses import cross_entropy
from impls.jax.training import adversarial_training, gradient_penalty_training, virtual_adversarial_training

BATCH, WIDTH, HIDDEN, CLASSES, VOCABULARY = 5, 4, 6, 3, 7


TABLE = "encoder/embedding"


every_target = pytest.mark.parametrize("target", [None, TABLE], ids=["input", "table"])


def image(params, x, dropout):
    """Inputs (B, 4) to logits (B, C)."""
    hidden = jnp.tanh(x @ params["hidden"]["kernel"] + params["hidden"]["bias"])
    hidden = hidden * jax.random.bernoulli(dropout, 0.6, hidden.shape) / 0.6
    return hidden @ params["output"]["kernel"] + params["output"]["bias"]


def text(params, tokens, dropout):
    """Tokens (B, T) to logits (B, C)."""
    return image(params["classifier"], jnp.tanh(params["encoder"]["embedding"][tokens].mean(1)), dropout)


def problem(target):
    """A model, parameters nested as Flax has them, inputs, labels, and a key for dropout."""
    rng = np.random.default_rng(0)
    params = {
        "hidden": {"kernel": rng.standard_normal((WIDTH, HIDDEN)), "bias": rng.standard_normal(HIDDEN)},
        "output": {"kernel": rng.standard_normal((HIDDEN, CLASSES)), "bias": rng.standard_normal(CLASSES)},
    }
    f, x, labels = image, rng.standard_normal((BATCH, WIDTH)), rng.integers(CLASSES, size=BATCH)
    if target:
        params = {"classifier": params, "encoder": {"embedding": rng.standard_normal((VOCABULARY, WIDTH))}}
        f, x = text, rng.integers(VOCABULARY - 1, size=(BATCH, 6))  # tokens repeat, and the last one does not occur
    return f, *jax.tree.map(jnp.asarray, (params, x, labels)), jax.random.key(7)


def perturbed(params, x, target):
    return params["encoder"]["embedding"] if target else x


def put(params, x, target, point):
    """The model's arguments with a point in the place of the one perturbed."""
    return ({**params, "encoder": {"embedding": point}}, x) if target else (params, point)


def made(method, f, target, *, loss=cross_entropy, **options):
    """An objective that takes a key, as that of VAT does."""
    objective = method(f, loss, target, **options)
    return objective if method is virtual_adversarial_training else lambda *batch, key: objective(*batch)


def slope_and_values(objective):
    """The gradient of the values' mean, which is what an optimiser is given, and the values."""

    def mean_and_values(params, *batch, **keys):
        values = objective(params, *batch, **keys)
        return values.mean(), values

    return jax.grad(mean_and_values, has_aux=True)


def digest(tree):
    """Hash of every array, of keys that of their data."""
    leaves = [
        leaf if jnp.issubdtype(leaf.dtype, np.number) else jax.random.key_data(leaf) for leaf in jax.tree.leaves(tree)
    ]
    return hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in leaves)).hexdigest()


def assert_close(found, wanted, units=32):
    """Equal to a few rounding units of the largest entry."""
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(wanted))
    differences = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), found, wanted)
    assert scale > 0 and max(jax.tree.leaves(differences)) <= units * 2**-53 * scale, differences


# What it costs, and what is off.


METHODS = {  # what switches it off; how often it calls the model and multiplies matrices: plainly 2 forward, 3 backward
    "adversarial": (adversarial_training, {"radius": 0.7}, {"radius": 0}, 2, 9),
    "half clean": (adversarial_training, {"radius": 0.7, "clean_weight": 0.5}, {"radius": 0.0}, 2, 12),
    "penalty": (gradient_penalty_training, {"weight": 0.7}, {"weight": 0.0}, 1, 11),
    "virtual": (virtual_adversarial_training, {"radius": 0.7}, {"radius": 0.0}, 2, 14),
    "with entropy": (virtual_adversarial_training, {"radius": 0.7, "entropy_weight": 1.0}, {"weight": 0.0}, 2, 14),
}


every_method = pytest.mark.parametrize(("method", "on", "off", "calls", "products"), METHODS.values(), ids=METHODS)
