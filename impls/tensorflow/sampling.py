import tensorflow as tf

from impls.checks import checked


@checked
def rademacher(seed, shape, *, like):
    with tf.device(like.device):
        bits = tf.random.stateless_uniform(shape, seed=(seed, 0), minval=0, maxval=2, dtype=tf.int32)
        return tf.cast(2 * bits - 1, like.dtype)


@checked
def gaussian(seed, shape, *, like):
    with tf.device(like.device):
        return tf.random.stateless_normal(shape, seed=(seed, 0), dtype=like.dtype)
