"""Keras on TensorFlow: losses, spectral normalisation, dropout, constraints."""

from equivalence.published.package import CONVENTION, LIMIT, RIGHT, WRONG, Package, only

PACKAGE = Package("keras", "3.15.1", ("tensorflow", "keras"))


@PACKAGE.adapts(
    "losses.sparse_categorical_crossentropy",
    "cross_entropy",
    RIGHT,
    "of logits, to rounding",
    compared="classes, from_logits",
)
def cross_entropy(logits, labels):
    import keras

    only(len(labels.shape) == 1, "class numbers")
    return keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)


@PACKAGE.adapts(
    "losses.categorical_crossentropy",
    "cross_entropy",
    LIMIT,
    "of logits, to rounding; the gradient takes the labels' sum for 1, and is off by what it lacks: 6e-9 in float32",
    compared="soft labels, from_logits",
    shows=("soft labels", "A6"),
)
def soft_cross_entropy(logits, labels):
    import keras

    only(len(labels.shape) == 2, "soft labels")
    return keras.losses.categorical_crossentropy(labels, logits, from_logits=True)


@PACKAGE.adapts(
    "losses.kl_divergence",
    "kl_divergence",
    CONVENTION,
    "clips probabilities at 1e-7: 16.12 for 23.03 where p is (1, 0) and q's first is 1e-10; it has no form for logits",
)
def divergence(p_logits, q_logits):
    import keras

    return keras.losses.kl_divergence(keras.ops.softmax(p_logits), keras.ops.softmax(q_logits))


@PACKAGE.adapts("losses.mean_squared_error", "squared_error", RIGHT, "the mean times C, to rounding")
def squared_error(outputs, targets):
    import keras

    return outputs.shape[1] * keras.losses.mean_squared_error(targets, outputs)


@PACKAGE.adapts(
    "layers.SpectralNormalization",
    "spectral_norm",
    WRONG,
    "assigns W/σ to the kernel: no gradient passes ∂σ/∂W, which the article it cites trains through (eq. 10–12)",
    compared="matrices",
    witness="keras_spectral",
)
def spectral_norm(weight, u, *, steps=1):
    import random

    import keras
    import tensorflow as tf

    only(len(weight.shape) == 2 and tf.executing_eagerly(), "matrices, eagerly")
    matrix, state = tf.transpose(weight), random.getstate()
    dense = keras.layers.Dense(weight.shape[0], use_bias=False, dtype=weight.dtype.name)
    layer = keras.layers.SpectralNormalization(dense, power_iterations=steps, dtype=weight.dtype.name)
    layer.build((None, matrix.shape[0]))
    random.setstate(state)  # its first vector, which is drawn, is replaced
    dense.kernel.assign(matrix)
    layer.vector_u.assign(u[None])
    layer(tf.zeros((1, matrix.shape[0]), weight.dtype), training=True)
    kernel = tf.convert_to_tensor(dense.kernel)
    held = tf.stop_gradient(tf.reduce_sum(matrix * matrix) / tf.reduce_sum(matrix * kernel))
    return held, tf.convert_to_tensor(layer.vector_u)[0]


@PACKAGE.adapts(
    "layers.Dropout",
    "dropout_mask",
    LIMIT,
    "0 and 1/(1 − q) at their rates; seeds are taken modulo 2³¹ − 2: that of 2³¹ is the mask of 2",
    shows=("B3",),
)
def dropout(seed, shape, *, rate, like):
    import keras
    import tensorflow as tf

    def draw(seed, rate):
        layer = keras.layers.Dropout(float(rate), seed=int(seed), dtype=like.dtype.name)
        return layer(tf.ones(shape, like.dtype), training=True)

    rate = rate if tf.is_tensor(rate) else tf.constant(rate, tf.float64)
    return tf.ensure_shape(tf.py_function(draw, [seed, rate], like.dtype), shape)  # its seed and rate are no arrays


@PACKAGE.adapts(
    "ops.normalize",
    "unit",
    LIMIT,
    "a norm is not taken below 1e-6, so that a smaller one gives less than 1",
    compared="a sample",
    shows=("C6", "numbers of 1e-15"),
)
def unit(x, *, scope="sample"):
    import keras
    import tensorflow as tf

    only(scope == "sample", "a norm a sample")
    return tf.reshape(keras.ops.normalize(tf.reshape(x, (tf.shape(x)[0], -1)), axis=1), tf.shape(x))


@PACKAGE.adapts(
    "constraints.MaxNorm",
    "project",
    CONVENTION,
    "divides by ‖x‖ + 1e-7: at radius 1 a sample comes back 1e-7 inside",
    compared="L2",
)
def max_norm(x, *, radius, norm="l2"):
    import keras
    import tensorflow as tf

    only(norm == "l2", "L2")
    rows = tf.reshape(x, (tf.shape(x)[0], -1))
    return tf.reshape(keras.constraints.MaxNorm(radius, axis=1)(rows), tf.shape(x))
