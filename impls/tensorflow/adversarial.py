import tensorflow as tf

from impls.checks import checked
from impls.tensorflow.norms import _number, _wide, project, steepest


@checked
def fgm(loss, x, *, radius, norm="l2", scope="sample"):
    direction = steepest(_gradient(loss, x), norm=norm, scope=scope)
    return tf.stop_gradient(tf.cast(_number(radius, direction) * direction, x.dtype))


@checked
def pgd(loss, x, start, *, radius, step, steps, norm="l2", bounds=None):
    def inside(r):
        r = project(r, radius=radius, norm=norm)
        return r if bounds is None else tf.clip_by_value(x + r, *bounds) - x  # shortens r: it stays in the ball

    r = inside(start)
    for _ in range(steps):
        r = inside(r + fgm(loss, x + r, radius=step, norm=norm))
    return tf.stop_gradient(r)


@checked
def adversarial_loss(loss, x, perturbation, *, clean_weight=0.5):
    adversarial = loss(x + perturbation)  # (B,)
    if clean_weight == 0:
        return adversarial
    return clean_weight * loss(x) + (1 - clean_weight) * adversarial


@checked
def freelb_loss(loss, x, start, *, radius, step, steps, norm="l2"):
    r, values = tf.stop_gradient(project(start, radius=radius, norm=norm)), []
    for _ in range(steps):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(r)
            value = loss(x + r)  # one forward pass for the loss and the ascent
        scale = _scale(value)
        gradient = tf.stop_gradient(_unscaled(tape.gradient(value, r, scale, unconnected_gradients="zero"), scale))
        r = project(_wide(r) + _number(step, gradient) * steepest(gradient, norm=norm), radius=radius, norm=norm)
        r = tf.stop_gradient(tf.cast(r, x.dtype))
        values.append(value)
    return tf.reduce_mean(tf.stack(values), 0), r  # (B,), (B, *S)


def _gradient(loss, x):  # of each sample, in float32 where x is half precision
    x = tf.stop_gradient(x)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        value = loss(x)
    scale = _scale(value)
    return _unscaled(tape.gradient(value, x, scale, unconnected_gradients="zero"), scale)  # (B, *S)


def _scale(values):  # a small loss has a small gradient, which float16 loses: a power of two, exact to divide out
    values, ones = tf.stop_gradient(values), tf.ones_like(values)
    return tf.where((values > 0) & (values < 2**-10), ones * 2**12, ones)


def _unscaled(gradient, scale):
    return _wide(gradient) / tf.reshape(tf.cast(scale, _wide(gradient).dtype), (-1, *[1] * (gradient.shape.rank - 1)))
