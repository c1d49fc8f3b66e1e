import tensorflow as tf

from impls.checks import checked


@checked
def noisy_loss(loss, x, noise):
    return tf.reduce_mean(tf.vectorized_map(lambda z: loss(x + z), noise), 0)  # (K, B) -> (B,)


@checked
def consistency_loss(divergence, f, x, noise, *, outputs=None):
    clean = f(x) if outputs is None else outputs  # (B, C)
    return tf.reduce_mean(tf.vectorized_map(lambda z: divergence(clean, f(x + z)), noise), 0)  # (K, B) -> (B,)


@checked
def dropout_loss(loss, x, masks):
    return tf.reduce_mean(tf.vectorized_map(lambda mask: loss(x * mask), masks), 0)  # (K, B) -> (B,)


@checked
def smooth_labels(labels, *, smoothing, like):
    if labels.shape.rank == 1:
        labels = tf.one_hot(labels, like.shape[-1])
    return (1 - smoothing) * tf.cast(labels, like.dtype) + smoothing / like.shape[-1]  # (B, C)
