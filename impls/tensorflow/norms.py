import ml_dtypes
import numpy as np
import tensorflow as tf

from impls.checks import check_step, checked


@checked
def l2_norm(x):
    scaled, largest = _scaled(tf.reshape(_wide(x), (tf.shape(x)[0], -1)))
    return tf.cast((largest * _root(scaled, largest))[:, 0], x.dtype)  # (B,)


@checked
def unit(x, *, scope="sample"):
    scaled, largest = _scaled(tf.reshape(_wide(x), (tf.shape(x)[0] if scope == "sample" else 1, -1)))
    return tf.cast(tf.reshape(scaled / _root(scaled, largest), tf.shape(x)), x.dtype)


@checked
def steepest(x, *, norm="l2", scope="sample"):
    if norm == "l2":
        return unit(x, scope=scope)
    if norm == "linf":
        return tf.sign(x)
    if norm == "raw":
        return x
    rows = tf.abs(tf.reshape(_wide(x), (tf.shape(x)[0] if scope == "sample" else 1, -1)))
    largest = tf.cast(rows == tf.reduce_max(rows, 1, keepdims=True), rows.dtype)
    return tf.sign(x) * tf.cast(tf.reshape(largest / tf.reduce_sum(largest, 1, keepdims=True), tf.shape(x)), x.dtype)


@checked
def project(x, *, radius, norm="l2"):
    rows = tf.reshape(_wide(x), (tf.shape(x)[0], -1))  # (B, n)
    radius = _number(radius, rows)
    if norm == "linf":
        nearest = tf.clip_by_value(rows, -radius, radius)
    elif norm == "l2":
        inside = l2_norm(rows)[:, None] <= radius
        nearest = tf.where(inside, rows, radius * unit(tf.where(inside, tf.ones_like(rows), rows)))
    else:
        sizes = tf.abs(rows)
        gaps = tf.reduce_max(sizes, 1, keepdims=True) - sizes  # to the largest: keeps its digits where x is far outside
        count = tf.cast(tf.range(1, tf.shape(rows)[1] + 1), rows.dtype)
        level = tf.reduce_min((tf.cumsum(tf.sort(gaps, 1), 1) + radius) / count, 1, keepdims=True)  # what is left of it
        inside = tf.reduce_sum(sizes, 1, keepdims=True) <= radius
        nearest = tf.where(inside, rows, tf.sign(rows) * tf.maximum(level - gaps, 0))
    return tf.cast(tf.reshape(nearest, tf.shape(x)), x.dtype)


def _wide(x):  # half precision is computed with in float32
    return tf.cast(x, tf.float32) if x.dtype.size < 4 else x


def _number(number, like):  # one that is a tensor, of another dtype perhaps; Python's own fit any
    return tf.cast(number, like.dtype) if tf.is_tensor(number) else number


def _scaled(rows):  # divided by their largest entries, which are held fixed; by ∞ where all are 0: 0, and so its slope
    largest = tf.reduce_max(tf.abs(tf.stop_gradient(rows)), 1, keepdims=True)  # (B, 1)
    ones = tf.ones_like(largest)
    less = tf.where(largest > 1, ones / 4, ones)  # XLA multiplies by reciprocals, and that of 3e38 is 0
    return rows * less / tf.where(largest == 0, np.inf * ones, largest * less), largest


def _root(scaled, largest):  # of the sum of squares; 1 where all are 0: there is no slope of a root of 0
    return tf.sqrt(tf.reduce_sum(tf.square(scaled), 1, keepdims=True) + tf.cast(largest == 0, scaled.dtype))


def _step(xi, x, values, order):  # None: where an error of (ξ/size)^order is as large as rounding's u·size/ξ
    u = max(float(ml_dtypes.finfo(array.dtype.as_numpy_dtype).eps) / 2 for array in (x, values))
    check_step(xi, float(ml_dtypes.finfo(x.dtype.as_numpy_dtype).smallest_subnormal), x.dtype.name)
    size = tf.reshape(tf.maximum(l2_norm(_wide(x)), 1), (-1, *[1] * (x.shape.rank - 1)))
    return u ** (1 / (order + 1)) * size if xi is None else _number(xi, size) * tf.ones_like(size)  # (B, 1, ..., 1)
