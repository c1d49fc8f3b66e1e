import tensorflow as tf

from impls.checks import checked


@checked
def cross_entropy(logits, labels):
    log_p = tf.nn.log_softmax(logits, axis=-1)  # (B, C)
    if labels.shape.rank == 1:
        labels = tf.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return -tf.reduce_sum(labels * log_p, -1)  # (B,)


@checked
def squared_error(outputs, targets):
    return tf.reduce_sum(tf.square(outputs - targets), -1)  # (B,)


@checked
def kl_divergence(p_logits, q_logits):
    log_p = tf.nn.log_softmax(p_logits, axis=-1)  # (B, C)
    log_q = tf.nn.log_softmax(q_logits, axis=-1)
    return tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), -1)  # (B,)


@checked
def entropy(logits):
    log_p = tf.nn.log_softmax(logits, axis=-1)  # (B, C)
    return -tf.reduce_sum(tf.exp(log_p) * log_p, -1)  # (B,)
