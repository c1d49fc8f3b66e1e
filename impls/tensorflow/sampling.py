import math

import tensorflow as tf

from impls.checks import checked
from impls.tensorflow.norms import unit

_DIGITS = {tf.bfloat16: 2.0**-8, tf.float16: 2.0**-11}  # what the largest number below 1 lacks


@checked
def rademacher(seed, shape, *, like):
    with tf.device(like.device):
        bits = tf.random.stateless_uniform(shape, seed=(seed, 0), minval=0, maxval=2, dtype=tf.int32)
        return tf.cast(2 * bits - 1, like.dtype)


@checked
def gaussian(seed, shape, *, like):
    return tf.cast(_drawn(tf.random.stateless_normal, seed, shape, like), like.dtype)


@checked
def uniform(seed, shape, *, like):  # what half precision would round to 1 stays below it
    draws = tf.cast(_uniform(seed, shape, like), like.dtype)
    return tf.minimum(draws, tf.constant(1 - _DIGITS[like.dtype], like.dtype)) if like.dtype in _DIGITS else draws


def _uniform(seed, shape, like):
    return _drawn(tf.random.stateless_uniform, seed, shape, like)


def _drawn(draw, seed, shape, like):  # half precision has too few numbers between 0 and 1 to draw from
    with tf.device(like.device):
        return draw(shape, seed=(seed, 0), dtype=tf.float64 if like.dtype == tf.float64 else tf.float32)


@checked
def uniform_sphere(seed, shape, *, like):
    return tf.cast(unit(_drawn(tf.random.stateless_normal, seed, shape, like)), like.dtype)


@checked
def uniform_ball(seed, shape, *, like, norm="l2"):
    return tf.cast(_ball(seed, shape, like, norm), like.dtype)


def _ball(seed, shape, like, norm):
    batch, n = shape[0], math.prod(shape[1:])
    if norm == "l2":  # the sphere of n + 2 dimensions, seen in n of them
        return tf.reshape(unit(_drawn(tf.random.stateless_normal, seed, (batch, n + 2), like))[:, :n], shape)
    if norm == "linf":
        return 2 * _uniform(seed, shape, like) - 1
    draws = _uniform(seed, (batch, 2 * n + 1), like)
    exponential = -tf.math.log1p(-draws[:, n:])  # (B, n + 1)
    signs = 1 - 2 * tf.cast(draws[:, :n] < 0.5, draws.dtype)
    return tf.reshape(signs * exponential[:, :n] / tf.reduce_sum(exponential, 1, keepdims=True), shape)


@checked
def dropout_mask(seed, shape, *, rate, like):
    return tf.cast(_uniform(seed, shape, like) >= rate, like.dtype) / (1 - rate)
