"""Files to start from for `check`, one an ecosystem: what a FILE defines, as its users would write it."""

TORCH = '''"""A model of yours, for `python -m bench check THIS_FILE.py`: `model`, `loss` and `batch`."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(20, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 3))  # any nn.Module


def loss(outputs, labels):  # what the model returned; one number a sample, (B,)
    return F.cross_entropy(outputs, labels, reduction="none")


# (inputs, labels). Inputs are a tensor, a tuple of arguments, or a dict of named ones. Few samples are enough. Of
# Hugging Face's models: batch = dict(tokenizer(...), labels=labels), and no loss is needed.
batch = torch.randn(8, 20), torch.randint(3, (8,))
'''
JAX = '''"""A model of yours, for `python -m bench check THIS_FILE.py`: `model`, `loss` and `batch`."""

import jax
import jax.numpy as jnp
import optax

keys = jax.random.split(jax.random.key(0), 3)
# A function goes with its `params`, any pytree. So does a Flax Linen module, of which `params` is what init returned. A
# Flax NNX or an Equinox module has its own: it is `model` alone.
params = {"hidden": jax.random.normal(keys[0], (20, 32)) / 5, "output": jax.random.normal(keys[1], (32, 3)) / 6}


def model(params, x):  # x (B, ...) -> outputs (B, ...)
    return jnp.tanh(x @ params["hidden"]) @ params["output"]


def loss(outputs, labels):  # one number a sample, (B,)
    return optax.softmax_cross_entropy_with_integer_labels(outputs, labels)


batch = jax.random.normal(keys[2], (8, 20)), jnp.arange(8) % 3  # (x, labels); x may be any pytree
'''
KERAS = '''"""A model of yours, for `python -m bench check THIS_FILE.py`: `model`, `loss` and `batch`."""

import keras
import numpy as np

keras.utils.set_random_seed(0)
model = keras.Sequential(  # functional or subclassed: any keras.Model
    [
        keras.layers.Input((20,)),
        keras.layers.Dense(32, activation="gelu"),
        keras.layers.LayerNormalization(),
        keras.layers.Dense(3),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)  # or compile the model, and leave this out
rng = np.random.default_rng(0)
batch = rng.normal(size=(8, 20)).astype("float32"), rng.integers(3, size=8)
'''
TEMPLATES = {"torch": TORCH, "jax": JAX, "keras": KERAS}
