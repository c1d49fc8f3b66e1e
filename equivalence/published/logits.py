"""Logits of two classes whose cross-entropy is a loss of ours: for attacks that take a model and its labels alone.

With L ≥ 1, log p = (−L, log(1 − e⁻ᴸ)) are log-probabilities, and the cross-entropy against class 0 is L. A loss is
moved to that range by a constant, which changes no gradient.
"""

from typing import Any


def of_torch(values: Any) -> Any:
    """(B,) -> (B, 2)."""
    import torch

    least = values - values.detach().min() + 1
    return torch.stack([-least, torch.log(-torch.expm1(-least))], 1)


def of_tensorflow(values: Any) -> Any:
    """(B,) -> (B, 2)."""
    import tensorflow as tf

    least = values - tf.stop_gradient(tf.reduce_min(values)) + 1
    return tf.stack([-least, tf.math.log(-tf.math.expm1(-least))], 1)


def of_jax(values: Any) -> Any:
    """(B,) -> (B, 2)."""
    import jax
    import jax.numpy as jnp

    least = values - jax.lax.stop_gradient(values.min()) + 1
    return jnp.stack([-least, jnp.log(-jnp.expm1(-least))], 1)
