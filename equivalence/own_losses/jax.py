"""JAX has no losses of its own; Optax's are what its users take."""

import numpy as np
import optax
from jax import nn

from equivalence.own_losses import LABELS, SOFT


def losses(array):
    """Each loss by name, a function of logits; `array` makes an array of the framework."""
    labels, soft = array(LABELS), array(SOFT)
    pairs, padding = array(np.array([[1, 2], [2, 1], [1, 1], [2, 2]])), array(np.zeros((4, 6)))
    return {
        "optax.softmax_cross_entropy_with_integer_labels": lambda x: optax.softmax_cross_entropy_with_integer_labels(
            x, labels
        ),
        "optax.softmax_cross_entropy": lambda x: optax.softmax_cross_entropy(x, soft),
        "optax.safe_softmax_cross_entropy": lambda x: optax.safe_softmax_cross_entropy(x, soft),
        "optax.kl_divergence of log_softmax": lambda x: optax.kl_divergence(nn.log_softmax(x), soft),
        "optax.sigmoid_binary_cross_entropy": lambda x: optax.sigmoid_binary_cross_entropy(x, soft),
        "optax.sigmoid_focal_loss": lambda x: optax.sigmoid_focal_loss(x, soft),
        "optax.squared_error": lambda x: optax.squared_error(x, soft),
        "optax.huber_loss": lambda x: optax.huber_loss(x, soft),
        "optax.log_cosh": lambda x: optax.log_cosh(x, soft),
        "optax.cosine_distance": lambda x: optax.cosine_distance(x, soft),
        "optax.ctc_loss, batch first": lambda x: optax.ctc_loss(
            x.swapaxes(0, 1), padding, pairs, array(np.zeros((4, 2)))
        ),
    }
