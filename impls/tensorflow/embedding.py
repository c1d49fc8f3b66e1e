import tensorflow as tf

from impls.checks import checked
from impls.tensorflow.norms import steepest


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
        total = tf.reduce_sum(loss(table))
    gradient = tape.gradient(total, table, unconnected_gradients="zero")  # (V, D)
    gradient = tf.convert_to_tensor(gradient)  # where it is sparse: adds up what repeated tokens get
    return tf.stop_gradient(radius * steepest(gradient, norm=norm, scope="tensor"))


@checked
def perturb_output(loss, x, mask, *, radius, norm="l2", scope="sample"):
    x = tf.stop_gradient(x)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        total = tf.reduce_sum(loss(x))
    gradient = tape.gradient(total, x, unconnected_gradients="zero")  # (B, T, D)
    return tf.stop_gradient(radius * steepest(gradient * mask[:, :, None], norm=norm, scope=scope))
