import tensorflow as tf

from impls.checks import checked
from impls.tensorflow.norms import project, steepest


@checked
def fgm(loss, x, *, radius, norm="l2", scope="sample"):
    x = tf.stop_gradient(x)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        total = tf.reduce_sum(loss(x))
    gradient = tape.gradient(total, x, unconnected_gradients="zero")  # (B, *S)
    return tf.stop_gradient(radius * steepest(gradient, norm=norm, scope=scope))


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
            total = tf.reduce_sum(value)
        gradient = tf.stop_gradient(tape.gradient(total, r, unconnected_gradients="zero"))
        r = tf.stop_gradient(project(r + step * steepest(gradient, norm=norm), radius=radius, norm=norm))
        values.append(value)
    return tf.reduce_mean(tf.stack(values), 0), r  # (B,), (B, *S)
