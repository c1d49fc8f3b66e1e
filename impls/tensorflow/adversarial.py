import tensorflow as tf

from impls.checks import checked
from impls.tensorflow.norms import unit


@checked
def fgm(loss, x, *, radius, norm="l2", scope="sample"):
    x = tf.stop_gradient(x)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        total = tf.reduce_sum(loss(x))
    gradient = tape.gradient(total, x, unconnected_gradients="zero")  # (B, *S)
    if norm == "l2":
        gradient = unit(gradient, scope=scope)
    elif norm == "linf":
        gradient = tf.sign(gradient)
    return tf.stop_gradient(radius * gradient)
