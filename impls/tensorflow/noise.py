import tensorflow as tf

from impls.checks import checked

# Copies are unrolled: the gradient of tf.vectorized_map makes XLA take every argument for a constant, parameters
# included, and compile anew at each step.


@checked
def noisy_loss(loss, x, noise):
    return tf.reduce_mean(tf.stack([loss(x + z) for z in tf.unstack(noise)]), 0)  # (K, B) -> (B,)


@checked
def consistency_loss(divergence, f, x, noise, *, outputs=None):
    clean = f(x) if outputs is None else outputs  # (B, C)
    return tf.reduce_mean(tf.stack([divergence(clean, f(x + z)) for z in tf.unstack(noise)]), 0)  # (K, B) -> (B,)


@checked
def dropout_loss(loss, x, masks):
    return tf.reduce_mean(tf.stack([loss(x * mask) for mask in tf.unstack(masks)]), 0)  # (K, B) -> (B,)


@checked
def smooth_labels(labels, *, smoothing, like):
    if labels.shape.rank == 1:
        labels = tf.one_hot(labels, like.shape[-1])
    return (1 - smoothing) * tf.cast(labels, like.dtype) + smoothing / like.shape[-1]  # (B, C)
