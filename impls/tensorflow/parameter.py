import tensorflow as tf

from impls.checks import checked
from impls.tensorflow.formulas import exact_derivatives


@checked
@exact_derivatives()
def parameter_gradient_penalty(loss, params, *, rate):
    params = {name: tf.identity(part) for name, part in params.items()}  # a tape watches names: the loss may hold these
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(params)
        mean = tf.reduce_mean(loss(params))
    gradient = tape.gradient(mean, params, unconnected_gradients="zero")
    parts = [tf.convert_to_tensor(part) for part in gradient.values()]  # a table's may be sparse
    return 0.25 * rate * sum(tf.reduce_sum(tf.square(part)) for part in parts)


@checked
def flooding(loss, *, level):
    return tf.abs(loss - level) + level


@checked
def weight_noise(loss, params, noise):
    def noisy(k):
        return loss({name: params[name] + noise[name][k] for name in params})  # (B,)

    copies = next(iter(noise.values())).shape[0]
    return tf.reduce_mean(tf.stack([noisy(k) for k in range(copies)]), 0)  # (K, B) -> (B,)
