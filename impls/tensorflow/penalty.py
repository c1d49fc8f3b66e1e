import tensorflow as tf

from impls.checks import checked
from impls.tensorflow.norms import l2_norm, unit


@checked
def input_gradient_penalty(loss, x, *, norm="l2_squared", how="double_backward", xi=0.01):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        total = tf.reduce_sum(loss(x))
    gradient = tape.gradient(total, x, unconnected_gradients="zero")  # (B, *S)
    if how != "double_backward":
        gradient = tf.stop_gradient(gradient)
    penalty, direction = _norm_and_slope(gradient, norm)
    if how == "double_backward":
        return penalty  # (B,)
    if how == "forward_over_reverse":
        along = _along(loss, x, direction)
    else:
        u, length = unit(direction), l2_norm(direction)
        along = (loss(x + xi * u) - loss(x - xi * u)) * length / (2 * xi)
    return penalty + (along - tf.stop_gradient(along))  # the norm's value, the derivative's gradient


def _norm_and_slope(gradient, norm):
    fixed, batch = tf.stop_gradient(gradient), gradient.shape[0]
    if norm == "l2_squared":
        return tf.reduce_sum(tf.square(tf.reshape(gradient, (batch, -1))), 1), 2 * fixed  # (B,), (B, *S)
    if norm == "l2":
        return l2_norm(gradient), unit(fixed)
    return tf.reduce_sum(tf.reshape(gradient * tf.sign(fixed), (batch, -1)), 1), tf.sign(fixed)  # |g|, of slope 0 at 0


def _along(loss, x, direction):
    @tf.function(autograph=False)  # a tape around an accumulator does not see into a tf.function that the loss calls
    def derivative(x, direction):
        with tf.autodiff.ForwardAccumulator(x, direction) as accumulator:
            values = loss(x)  # (B,)
        return accumulator.jvp(values, unconnected_gradients="zero")

    return derivative(x, direction)


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


@checked
def tikhonov_penalty(divergence, f, x, *, probes=None):
    if divergence == "squared_error":
        return 2 * jacobian_penalty(f, x, probes=probes)

    def log_p(x):
        return tf.nn.log_softmax(f(x), axis=-1)  # (B, C)

    if probes is None:
        return jacobian_penalty(log_p, x, weights=tf.exp(log_p(x)))
    return jacobian_penalty(log_p, x, probes=probes * tf.exp(log_p(x) / 2))  # no √p: its slope at p = 0 is infinite


@checked
def wgan_gradient_penalty(critic, real, fake, mix, *, target=1.0):
    mix = tf.reshape(mix, (-1, *[1] * (real.shape.rank - 1)))  # one weight a sample
    between = mix * real + (1 - mix) * fake
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(between)
        total = tf.reduce_sum(critic(between))
    gradient = tape.gradient(total, between, unconnected_gradients="zero")  # (B, *S)
    return tf.square(l2_norm(gradient) - target)  # (B,)
