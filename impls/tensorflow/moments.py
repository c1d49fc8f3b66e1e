"""Mean and variance with the right second derivatives.

`tf.nn.moments` holds the mean fixed within the variance. Its first derivative is right, since the variance's derivative
by the mean is 0; a second derivative lacks what this term's own derivative gives. Normalisation layers of Keras are
made of it: LayerNormalization, GroupNormalization, BatchNormalization in training. Within `exact_moments` they are not.
"""

import contextlib
import threading

import tensorflow as tf
from tensorflow.python.ops import nn_impl

_LOCK, _DEPTH, _ORIGINAL = threading.Lock(), [0], nn_impl.moments


@contextlib.contextmanager
def exact_moments():
    """Within, whatever is built has the right second derivatives; a `tf.function` traced before stays as it was."""
    with _LOCK:  # threads of a strategy's replicas come and go in any order
        _DEPTH[0] += 1
        nn_impl.moments = _moments
    try:
        yield
    finally:
        with _LOCK:
            _DEPTH[0] -= 1
            if not _DEPTH[0]:
                nn_impl.moments = _ORIGINAL


def _moments(x, axes, shift=None, name=None, keep_dims=None, keepdims=None):
    y = tf.cast(x, tf.float32) if x.dtype == tf.float16 else tf.convert_to_tensor(x)
    mean = tf.reduce_mean(y, axes, keepdims=True)
    variance = _variance(y, mean, axes)
    if not (keep_dims or keepdims):
        mean, variance = tf.squeeze(mean, axes), tf.squeeze(variance, axes)
    return tf.cast(mean, x.dtype), tf.cast(variance, x.dtype)


def _variance(y, mean, axes):
    @tf.custom_gradient
    def variance(y):
        found = tf.reduce_mean(tf.math.squared_difference(y, mean), axes, keepdims=True)

        def gradient(upstream):
            count = tf.cast(tf.size(y) // tf.size(found), y.dtype)
            return 2.0 * (tf.broadcast_to(upstream, tf.shape(y)) / count) * (y - mean)  # TensorFlow's, bit for bit

        return found, gradient

    return variance(y)
