import tensorflow as tf

from impls.checks import checked
from impls.tensorflow.norms import l2_norm


@checked
def input_gradient_penalty(loss, x, *, norm="l2_squared"):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        total = tf.reduce_sum(loss(x))
    gradient = tape.gradient(total, x, unconnected_gradients="zero")  # (B, *S)
    if norm == "l2_squared":
        return tf.reduce_sum(tf.square(tf.reshape(gradient, (x.shape[0], -1))), 1)  # (B,)
    if norm == "l2":
        return l2_norm(gradient)
    return tf.reduce_sum(tf.reshape(gradient * tf.sign(gradient), (x.shape[0], -1)), 1)  # |g|, of slope 0 at 0


@checked
def jacobian_penalty(f, x, *, weights=None, probes=None):
    with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
        tape.watch(x)
        outputs = f(x)  # (B, C)
    if probes is not None:
        rows = probes if weights is None else probes * tf.sqrt(weights)  # (K, B, C)
        return tf.reduce_mean(_squared_norms(tape, outputs, x, rows), 0)
    batch, classes = outputs.shape
    rows = tf.broadcast_to(tf.eye(classes, dtype=x.dtype)[:, None], (classes, batch, classes))
    squares = _squared_norms(tape, outputs, x, rows)  # (C, B)
    return tf.reduce_sum(squares if weights is None else squares * tf.transpose(weights), 0)


def _squared_norms(tape, outputs, x, rows):
    def vjp(row):
        return tape.gradient(outputs, x, row, unconnected_gradients="zero")

    gradients = tf.vectorized_map(vjp, rows)  # (K, B, *S)
    return tf.reduce_sum(tf.square(tf.reshape(gradients, (*rows.shape[:2], -1))), 2)  # (K, B)
