import math

import tensorflow as tf

from impls.checks import checked
from impls.tensorflow.norms import unit


@checked
def rademacher(seed, shape, *, like):
    with tf.device(like.device):
        bits = tf.random.stateless_uniform(shape, seed=(seed, 0), minval=0, maxval=2, dtype=tf.int32)
        return tf.cast(2 * bits - 1, like.dtype)


@checked
def gaussian(seed, shape, *, like):
    with tf.device(like.device):
        return tf.random.stateless_normal(shape, seed=(seed, 0), dtype=like.dtype)


@checked
def uniform(seed, shape, *, like):
    with tf.device(like.device):
        return tf.random.stateless_uniform(shape, seed=(seed, 0), dtype=like.dtype)


@checked
def uniform_sphere(seed, shape, *, like):
    return unit(gaussian(seed, shape, like=like))


@checked
def uniform_ball(seed, shape, *, like, norm="l2"):
    batch, n = shape[0], math.prod(shape[1:])
    if norm == "l2":  # the sphere of n + 2 dimensions, seen in n of them
        return tf.reshape(unit(gaussian(seed, (batch, n + 2), like=like))[:, :n], shape)
    if norm == "linf":
        return 2 * uniform(seed, shape, like=like) - 1
    draws = uniform(seed, (batch, 2 * n + 1), like=like)
    exponential = -tf.math.log1p(-draws[:, n:])  # (B, n + 1)
    signs = 1 - 2 * tf.cast(draws[:, :n] < 0.5, like.dtype)
    return tf.reshape(signs * exponential[:, :n] / tf.reduce_sum(exponential, 1, keepdims=True), shape)


@checked
def dropout_mask(seed, shape, *, rate, like):
    return tf.cast(uniform(seed, shape, like=like) >= rate, like.dtype) / (1 - rate)
