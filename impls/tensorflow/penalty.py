import tensorflow as tf

from impls.checks import checked
from impls.tensorflow.formulas import exact_derivatives
from impls.tensorflow.norms import _step, _wide, l2_norm, unit


@checked
@exact_derivatives()
def input_gradient_penalty(loss, x, *, norm="l2_squared", how="double_backward", xi=None, with_loss=False):
    x = tf.identity(x)  # a tape watches a name: what the loss itself holds of x has another
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        values = loss(x)  # (B,): one forward pass for the loss and its gradient
    gradient = tape.gradient(values, x, unconnected_gradients="zero")  # (B, *S)
    if how != "double_backward":
        gradient = tf.stop_gradient(gradient)
    penalty, direction = _norm_and_slope(_wide(gradient), norm)  # (B,), (B, *S)
    if how == "forward_over_reverse":
        values, along = _along(loss, x, tf.cast(direction, x.dtype))
        penalty = _sloped(penalty, along)
    elif how == "finite_difference":
        step, length = _step(xi, x, values, order=2), l2_norm(direction)
        move = tf.cast(step * unit(direction), x.dtype)
        change = _wide(loss(x + move)) - _wide(loss(x - move))
        penalty = _sloped(penalty, change * length / (2 * tf.reshape(step, (-1,))))
    return (penalty, values) if with_loss else penalty


def _sloped(penalty, along):
    along = _wide(along)
    return penalty + (along - tf.stop_gradient(along))  # the norm's value, the derivative's gradient


def _norm_and_slope(gradient, norm):
    fixed, batch = tf.stop_gradient(gradient), tf.shape(gradient)[0]
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
        return values, accumulator.jvp(values, unconnected_gradients="zero")

    return derivative(x, direction)


@checked
@exact_derivatives()
def jacobian_penalty(f, x, *, weights=None, probes=None, with_outputs=False):
    x = tf.identity(x)  # a tape watches a name: what f itself holds of x has another
    with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
        tape.watch(x)
        outputs = f(x)  # (B, C)
    penalty = _frobenius(outputs, _vjp(tape, outputs, x), weights, probes)
    return (penalty, outputs) if with_outputs else penalty


def _vjp(tape, outputs, x):
    return lambda row: tape.gradient(outputs, x, row, unconnected_gradients="zero")


def _frobenius(outputs, vjp, weights, probes):
    if probes is not None:
        rows = probes if weights is None else probes * tf.cast(tf.sqrt(weights), probes.dtype)  # (K, B, C)
        rows = tf.cast(rows, outputs.dtype)
        return tf.reduce_mean(_squared_norms(vjp, rows), 0)
    batch, classes = tf.shape(outputs)[0], outputs.shape[1]
    rows = tf.broadcast_to(tf.eye(classes, dtype=outputs.dtype)[:, None], (classes, batch, classes))
    squares = _squared_norms(vjp, rows)  # (C, B)
    return tf.reduce_sum(squares if weights is None else squares * tf.cast(tf.transpose(weights), squares.dtype), 0)


def _squared_norms(vjp, rows):
    gradients = tf.stack([vjp(row) for row in tf.unstack(rows)])  # (K, B, *S)
    return tf.reduce_sum(tf.square(tf.reshape(_wide(gradients), (rows.shape[0], tf.shape(rows)[1], -1))), 2)  # (K, B)


@checked
@exact_derivatives()
def tikhonov_penalty(divergence, f, x, *, probes=None, with_outputs=False):
    x = tf.identity(x)  # a tape watches a name: what f itself holds of x has another
    with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
        tape.watch(x)
        outputs = f(x)  # (B, C)
        log_p = tf.nn.log_softmax(_wide(outputs), axis=-1)
    if divergence == "squared_error":
        penalty = 2 * _frobenius(outputs, _vjp(tape, outputs, x), None, probes)
    elif probes is None:
        penalty = _frobenius(log_p, _vjp(tape, log_p, x), tf.exp(log_p), None)
    else:  # no √p: its slope at p = 0 is infinite
        penalty = _frobenius(log_p, _vjp(tape, log_p, x), None, tf.cast(probes, log_p.dtype) * tf.exp(log_p / 2))
    return (penalty, outputs) if with_outputs else penalty


@checked
@exact_derivatives()
def wgan_gradient_penalty(critic, real, fake, mix, *, target=1.0):
    mix = tf.reshape(mix, (-1, *[1] * (real.shape.rank - 1)))  # one weight a sample
    between = mix * real + (1 - mix) * fake
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(between)
        total = tf.reduce_sum(critic(between))
    gradient = tape.gradient(total, between, unconnected_gradients="zero")  # (B, *S)
    return tf.square(l2_norm(_wide(gradient)) - target)  # (B,)
