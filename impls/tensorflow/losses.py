import tensorflow as tf

from impls.checks import checked
from impls.tensorflow.norms import _wide


@checked
def cross_entropy(logits, labels):
    log_p = tf.nn.log_softmax(_wide(logits), axis=-1)  # (B, C)
    if labels.shape.rank == 1:
        labels = tf.one_hot(labels, logits.shape[-1], dtype=log_p.dtype)
    return -tf.reduce_sum(tf.cast(labels, log_p.dtype) * log_p, -1)  # (B,)


@checked
def squared_error(outputs, targets):
    return tf.reduce_sum(tf.square(_wide(outputs) - _wide(targets)), -1)  # (B,)


@checked
def kl_divergence(p_logits, q_logits):
    log_p = tf.nn.log_softmax(_wide(p_logits), axis=-1)  # (B, C)
    log_q = tf.nn.log_softmax(_wide(q_logits), axis=-1)
    ratio = log_p - log_q
    near = tf.abs(ratio) < 1
    small = tf.where(near, ratio, tf.zeros_like(ratio))
    close = tf.exp(log_p) * (small + tf.math.expm1(-small))  # ≥ 0: does not cancel where p is close to q
    far = tf.exp(log_p) * ratio + tf.exp(log_q) - tf.exp(log_p)  # the same term, where expm1 could overflow
    return tf.reduce_sum(tf.where(near, close, far), -1)  # (B,)


@checked
def entropy(logits):
    log_p = tf.nn.log_softmax(_wide(logits), axis=-1)  # (B, C)
    return -tf.reduce_sum(tf.exp(log_p) * log_p, -1)  # (B,)
