import tensorflow as tf

from impls.checks import checked


@checked
def noisy_loss(loss, x, noise):
    return tf.reduce_mean(tf.vectorized_map(lambda z: loss(x + z), noise), 0)  # (K, B) -> (B,)


@checked
def consistency_loss(divergence, f, x, noise):
    clean = f(x)  # (B, C)
    return tf.reduce_mean(tf.vectorized_map(lambda z: divergence(clean, f(x + z)), noise), 0)  # (K, B) -> (B,)
