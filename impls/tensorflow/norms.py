import tensorflow as tf

from impls.checks import checked


@checked
def l2_norm(x):
    rows = tf.reshape(x, (x.shape[0], -1))  # (B, n)
    largest = tf.reduce_max(tf.abs(tf.stop_gradient(rows)), 1, keepdims=True)  # (B, 1)
    ones = tf.ones_like(largest)
    safe = tf.where(largest > 0, rows / tf.where(largest > 0, largest, ones), ones)  # no sqrt at 0: its slope is inf
    norm = largest[:, 0] * tf.sqrt(tf.reduce_sum(tf.square(safe), 1))
    return tf.where(largest[:, 0] == 0, tf.zeros_like(norm), norm)  # (B,)


@checked
def unit(x, *, scope="sample"):
    rows = tf.reshape(x, (x.shape[0] if scope == "sample" else 1, -1))
    largest = tf.reduce_max(tf.abs(rows), 1, keepdims=True)
    rows = rows / tf.where(largest == 0, tf.ones_like(largest), largest)  # squares of 1e-30 would vanish in float32
    norm = tf.sqrt(tf.reduce_sum(tf.square(rows), 1, keepdims=True))
    return tf.reshape(rows / tf.where(norm == 0, tf.ones_like(norm), norm), x.shape)
