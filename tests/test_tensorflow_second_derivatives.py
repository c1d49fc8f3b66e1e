"""TensorFlow: layers that Keras makes of `tf.nn.moments` have the right second derivatives in our methods."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from equivalence.divided.tensorflow import in_double
from impls.tensorflow.moments import exact_moments
from impls.tensorflow.training import gradient_penalty_objective
from tests.quick import mostly_slow

RNG = np.random.default_rng(0)
X, KERNEL, SCALE = RNG.standard_normal((3, 6)), RNG.standard_normal((6, 6)), RNG.standard_normal(6)
EPSILON = 1e-2


@pytest.fixture(autouse=True)
def _double(bridge):
    with in_double():
        yield


def by_hand(shape, axes):
    def normalised(h):
        parts = tf.reshape(h, shape)
        mean = tf.reduce_mean(parts, axes, keepdims=True)
        variance = tf.reduce_mean((parts - mean) ** 2, axes, keepdims=True)
        return tf.reshape((parts - mean) / tf.sqrt(variance + EPSILON), (-1, 6))

    return normalised


def batched():
    layer = layers.BatchNormalization(epsilon=EPSILON)
    layer.build((None, 6))
    return lambda h: layer(h, training=True)


# name: Keras's layer, and the same of elementary operations.
LAYERS = {
    "LayerNormalization": (lambda: layers.LayerNormalization(epsilon=EPSILON), by_hand((-1, 6), [1])),
    "GroupNormalization": (lambda: layers.GroupNormalization(2, epsilon=EPSILON), by_hand((-1, 2, 3), [2])),
    "BatchNormalization": (batched, by_hand((-1, 6), [0])),
    "moments": (
        lambda: lambda h: tf.nn.batch_normalization(h, *tf.nn.moments(h, [1], keepdims=True), None, None, EPSILON),
        by_hand((-1, 6), [1]),
    ),
}
METHODS = {
    "penalty": lambda m, loss: m.input_gradient_penalty(loss, tf.constant(X)),
    "penalty, forward over reverse": lambda m, loss: m.input_gradient_penalty(
        loss, tf.constant(X), norm="l2", how="forward_over_reverse"
    ),
    "hvp": lambda m, loss: m.hvp(loss, tf.constant(X), tf.constant(X[::-1].copy())),
    "laplacian": lambda m, loss: m.laplacian(loss, tf.constant(X)),
    "laplacian, forward": lambda m, loss: m.laplacian(loss, tf.constant(X), how="forward"),
    "jacobian": lambda m, loss: m.jacobian_penalty(lambda x: loss(x)[:, None], tf.constant(X)),
    "wgan": lambda m, loss: m.wgan_gradient_penalty(
        loss, tf.constant(X), tf.constant(X * 2), tf.constant([0.1, 0.2, 0.3], tf.float64)
    ),
}


def value_and_gradient(method, m, layer):
    kernel = tf.Variable(KERNEL)
    with tf.GradientTape() as tape:
        found = method(m, lambda x: tf.reduce_sum(tf.tanh(layer(x @ kernel) * SCALE), 1))
        total = tf.reduce_sum(
            found * tf.range(1.0, 4.0, dtype=tf.float64)[: found.shape[0], *[None] * (len(found.shape) - 1)]
        )
    return found, tape.gradient(total, kernel)


TRIED = [("LayerNormalization", method) for method in METHODS]
TRIED += [(name, method) for name in LAYERS if name != "LayerNormalization" for method in ("penalty", "hvp")]


@pytest.mark.parametrize(
    ("name", "method"),
    mostly_slow(TRIED, [(name, method) for name, method in TRIED if "forward" not in method]),
)
def test_a_layer_is_the_same_by_hand(methods, method, name):
    """Values and parameter gradients; BatchNormalization mixes samples, which only a test of second derivatives may."""
    made, same = LAYERS[name]
    found = value_and_gradient(METHODS[method], methods, made())
    expected = value_and_gradient(METHODS[method], methods, same)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10 * np.abs(b).max())


def test_a_penalty_in_training():
    """With layers of a model, in a graph as well."""

    x = keras.Input((6,))
    model = keras.Model(
        x, layers.Dense(1)(keras.ops.tanh(layers.LayerNormalization(epsilon=EPSILON)(layers.Dense(6)(x))))
    )
    first, _, last = model.layers[1:]

    def by_elements(x):
        return last(tf.tanh(by_hand((-1, 6), [1])(first(x))))[:, 0]

    with tf.GradientTape() as tape:
        at = tf.constant(X)
        with tf.GradientTape() as inner:
            inner.watch(at)
            values = by_elements(at)
        value = tf.reduce_mean(values) + 0.5 * tf.reduce_mean(tf.reduce_sum(inner.gradient(values, at) ** 2, 1))
    expected = tape.gradient(value, [first.kernel, last.kernel])
    objective = gradient_penalty_objective(model, weight=0.5, loss=lambda y, y_pred: y_pred[:, 0])

    @tf.function
    def traced():
        with tf.GradientTape() as tape:
            value = objective(tf.constant(X), tf.zeros(3))
        return value, tape.gradient(value, [first.kernel, last.kernel])

    found, gradients = traced()
    np.testing.assert_allclose(found, value, rtol=1e-12)
    for a, b in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("axes", [[0], [1], [0, 1]])
def test_the_first_derivative_is_tensorflows_bit_for_bit(axes):
    found = []
    for exact in (False, True):
        x = tf.constant(X)
        with exact_moments() if exact else tf.name_scope("own"), tf.GradientTape() as tape:
            tape.watch(x)
            mean, variance = tf.nn.moments(x, axes, keepdims=True)
            value = tf.reduce_sum(tf.tanh((x - mean) / tf.sqrt(variance + EPSILON)) ** 2)
        found.append((value, tape.gradient(value, x)))
    assert float(found[0][0]) == float(found[1][0]) and np.array_equal(found[0][1], found[1][1])


def test_tensorflow_is_put_back_in_any_order():
    own = tf.compat.v1.nn.moments
    from tensorflow.python.ops import nn_impl

    one, two = exact_moments(), exact_moments()
    one.__enter__(), two.__enter__()
    one.__exit__(None, None, None)
    assert nn_impl.moments is not own
    two.__exit__(None, None, None)
    assert nn_impl.moments is own
