import tensorflow as tf

from impls.checks import checked
from impls.tensorflow.adversarial import _gradient, _scale
from impls.tensorflow.norms import _number, _wide, steepest


@checked
def normalize_embedding(table, frequencies):
    share = frequencies / tf.reduce_sum(frequencies)
    shifted = table - table[tf.argmax(share)]  # a component that does not vary is then exactly 0
    centred = shifted - tf.linalg.matvec(shifted, share, transpose_a=True)  # (V, D)
    variance = tf.linalg.matvec(tf.square(centred), share, transpose_a=True)  # (D,)
    varies = variance > 0
    scaled = centred / tf.sqrt(tf.where(varies, variance, tf.ones_like(variance)))
    return tf.where(varies, scaled, tf.zeros_like(scaled))


@checked
def perturb_table(loss, table, *, radius, norm="l2"):
    table = tf.stop_gradient(table)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(table)
        value = loss(table)
    scale = _scale(tf.reduce_max(value))  # one for all: samples share tokens
    gradient = tape.gradient(value, table, tf.ones_like(value) * scale, unconnected_gradients="zero")  # (V, D)
    gradient = _wide(tf.convert_to_tensor(gradient))  # where it is sparse: adds up what repeated tokens get
    direction = steepest(gradient / tf.cast(scale, gradient.dtype), norm=norm, scope="tensor")
    return tf.stop_gradient(tf.cast(_number(radius, direction) * direction, table.dtype))


@checked
def perturb_output(loss, x, mask, *, radius, norm="l2", scope="sample"):
    gradient = _gradient(loss, x)  # (B, T, D)
    gradient *= tf.cast(mask, gradient.dtype)[:, :, None]
    direction = steepest(gradient, norm=norm, scope=scope)
    return tf.stop_gradient(tf.cast(_number(radius, direction) * direction, x.dtype))
