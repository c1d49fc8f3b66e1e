import tensorflow as tf

from impls.checks import checked


@checked
def l2_norm(x):
    rows = tf.reshape(x, (tf.shape(x)[0], -1))  # (B, n)
    largest = tf.reduce_max(tf.abs(tf.stop_gradient(rows)), 1, keepdims=True)  # (B, 1)
    ones = tf.ones_like(largest)
    safe = tf.where(largest > 0, rows / tf.where(largest > 0, largest, ones), ones)  # no sqrt at 0: its slope is inf
    norm = largest[:, 0] * tf.sqrt(tf.reduce_sum(tf.square(safe), 1))
    return tf.where(largest[:, 0] == 0, tf.zeros_like(norm), norm)  # (B,)


@checked
def unit(x, *, scope="sample"):
    rows = tf.reshape(x, (tf.shape(x)[0] if scope == "sample" else 1, -1))
    largest = tf.reduce_max(tf.abs(rows), 1, keepdims=True)
    rows = rows / tf.where(largest == 0, tf.ones_like(largest), largest)  # squares of 1e-30 would vanish in float32
    norm = tf.sqrt(tf.reduce_sum(tf.square(rows), 1, keepdims=True))
    return tf.reshape(rows / tf.where(norm == 0, tf.ones_like(norm), norm), tf.shape(x))


@checked
def steepest(x, *, norm="l2", scope="sample"):
    if norm == "l2":
        return unit(x, scope=scope)
    if norm == "linf":
        return tf.sign(x)
    if norm == "raw":
        return x
    rows = tf.abs(tf.reshape(x, (tf.shape(x)[0] if scope == "sample" else 1, -1)))
    largest = tf.cast(rows == tf.reduce_max(rows, 1, keepdims=True), x.dtype)
    return tf.sign(x) * tf.reshape(largest / tf.reduce_sum(largest, 1, keepdims=True), tf.shape(x))


@checked
def project(x, *, radius, norm="l2"):
    rows = tf.reshape(x, (tf.shape(x)[0], -1))  # (B, n)
    if norm == "linf":
        return tf.clip_by_value(x, -radius, radius)
    if norm == "l2":
        length = l2_norm(x)[:, None]
        inside, ones = length <= radius, tf.ones_like(length)
        return tf.reshape(rows * tf.where(inside, ones, radius / tf.where(inside, ones, length)), tf.shape(x))
    gaps = tf.reduce_max(tf.abs(rows), 1, keepdims=True) - tf.abs(rows)  # to the largest: keeps its digits far outside
    count = tf.cast(tf.range(1, tf.shape(rows)[1] + 1), x.dtype)
    level = tf.reduce_min((tf.cumsum(tf.sort(gaps, 1), 1) + radius) / count, 1, keepdims=True)  # what is left of it
    inside = tf.reduce_sum(tf.abs(rows), 1, keepdims=True) <= radius
    return tf.reshape(tf.where(inside, rows, tf.sign(rows) * tf.maximum(level - gaps, 0)), tf.shape(x))
