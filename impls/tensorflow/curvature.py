import tensorflow as tf

from impls.checks import checked
from impls.tensorflow.norms import unit


@checked
def hvp(loss, x, vector):  # reverse over reverse: TensorFlow's forward mode traces and runs slower
    with tf.GradientTape(watch_accessed_variables=False) as outer:
        outer.watch(x)
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(x)
            total = tf.reduce_sum(loss(x))  # rows of the batch do not mix
        gradient = inner.gradient(total, x, unconnected_gradients="zero")  # (B, *S)
    return outer.gradient(gradient, x, output_gradients=vector, unconnected_gradients="zero")


@checked
def laplacian(loss, x, *, probes=None):
    vectors = probes  # (K, B, *S)
    if probes is None:
        n = x[0].shape.num_elements()
        vectors = tf.broadcast_to(tf.reshape(tf.eye(n, dtype=x.dtype), (n, 1, *x.shape[1:])), (n, *x.shape))
    batch = x.shape[0]
    products = tf.vectorized_map(
        lambda v: tf.reduce_sum(tf.reshape(v * hvp(loss, x, v), (batch, -1)), 1), vectors
    )  # (K, B)
    return tf.reduce_sum(products, 0) if probes is None else tf.reduce_mean(products, 0)  # (B,)


@checked
def top_eigenpair(loss, x, start, *, steps):
    vector = unit(start)
    for _ in range(steps):
        vector = unit(hvp(loss, x, vector))
    vector = tf.stop_gradient(vector)
    value = tf.reduce_sum(tf.reshape(vector * hvp(loss, x, vector), (x.shape[0], -1)), 1)
    return value, vector  # (B,), (B, *S)
