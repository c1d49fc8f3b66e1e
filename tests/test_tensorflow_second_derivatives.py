"""TensorFlow: what `impls/tensorflow/formulas.py` names has the right second derivatives in our methods."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from equivalence.divided.tensorflow import in_double
from impls.tensorflow.formulas import exact_derivatives
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


def upsampled_by_hand(images):
    """From (B, 2, 3, 1) to (B, 4, 6, 1): new pixels' centres lie a quarter of an old pixel beside the old ones'."""
    rows, columns = (
        [np.interp((np.arange(2 * size) + 0.5) / 2 - 0.5, np.arange(size), unit) for unit in np.eye(size)]
        for size in (2, 3)
    )
    return tf.einsum("hi,bhwc,wj->bijc", np.array(rows), images, np.array(columns))


RESIZED = {
    **{name: method for name, method in METHODS.items() if name != "wgan"},
    "vat": lambda m, loss: m.vat_loss(
        lambda x: loss(x)[:, None] * [1.0, -1.0], tf.constant(X), tf.ones((3, 6)), radius=1.0
    ),
}


@pytest.mark.parametrize("method", RESIZED)
def test_bilinear_resizing_is_the_same_by_hand(methods, method):
    """Its kernel is of float32. TensorFlow's own second derivatives are 0, and VAT's direction with them."""

    def around(resized):
        return lambda h: tf.reshape(tf.tanh(tf.cast(resized(tf.reshape(h, (-1, 2, 3, 1))), tf.float64)), (-1, 4, 6))[
            :, 1
        ]

    found = value_and_gradient(RESIZED[method], methods, around(layers.UpSampling2D(2, interpolation="bilinear")))
    expected = value_and_gradient(RESIZED[method], methods, around(upsampled_by_hand))
    for a, b in zip(found, expected, strict=True):
        assert np.abs(b).max() > 1e-3
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("options", [{}, {"align_corners": True}])
def test_resizing_in_our_methods_is_tensorflows(options):
    images = tf.constant(RNG.standard_normal((2, 5, 4, 3)))
    resize = tf.compat.v1.image.resize_bilinear if options else tf.image.resize
    own = resize(images, (7, 3), **options)
    with exact_derivatives():
        ours = tf.function(lambda x: resize(x, (7, 3), **options))(images)
    assert ours.dtype == own.dtype
    np.testing.assert_allclose(ours, own, rtol=1e-5, atol=1e-6)


RANGE = np.float32([-0.5, -1.0, -2.0, -0.4, -1.5, -3.0]), np.float32([0.6, 1.0, 2.5, 0.5, 1.5, 3.0])
QUANTISED = {
    "args": (lambda h: tf.quantization.fake_quant_with_min_max_args(h, -1.5, 1.5), (-1.5, 1.5)),
    "vars": (lambda h: tf.quantization.fake_quant_with_min_max_vars(h, -1.5, 1.5), (-1.5, 1.5)),
    "a channel": (lambda h: tf.quantization.fake_quant_with_min_max_vars_per_channel(h, *RANGE), RANGE),
}


@pytest.mark.parametrize("method", ["penalty", "jacobian", "vat"])
@pytest.mark.parametrize("name", QUANTISED)
def test_fake_quantisation_is_the_same_by_hand(methods, name, method):
    """Straight through where it clips nothing. TensorFlow's own penalty has no gradient of what is before it."""
    quantise, (low, high) = QUANTISED[name]

    def as_it_is(h):
        return tf.tanh(tf.cast(quantise(tf.cast(h, tf.float32)), tf.float64))

    def by_hand(h):
        clipped = tf.clip_by_value(tf.cast(h, tf.float32), low, high)
        rounded = clipped + tf.stop_gradient(quantise(tf.cast(h, tf.float32)) - clipped)
        return tf.tanh(tf.cast(rounded, tf.float64))

    found, expected = (value_and_gradient(RESIZED[method], methods, each) for each in (as_it_is, by_hand))
    for a, b in zip(found, expected, strict=True):
        assert np.abs(b).max() > 1e-3
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("method", ["penalty", "jacobian", "vat", "penalty, forward over reverse"])
def test_a_sum_of_sparse_tensors_is_the_same_by_hand(methods, method):
    """Of places that one tensor has alone, that both have, and that cancel; TensorFlow's penalty lacks a part."""
    places, others = [[0, 0], [0, 4], [1, 1], [2, 2]], [[0, 4], [1, 3], [2, 2]]

    def added(dense):
        def layer(h):
            one = tf.gather_nd(h, places)
            two = tf.stack([tf.ones([], tf.float64), h[1, 3], -h[2, 2]])
            if dense:
                return tf.scatter_nd(places, one, [3, 6]) + tf.scatter_nd(others, two, [3, 6])
            found = tf.sparse.add(*(tf.SparseTensor(*each, [3, 6]) for each in ((places, one), (others, two))))
            return tf.scatter_nd(found.indices, found.values, [3, 6])

        return lambda h: layer(tf.tanh(h))

    found, expected = (value_and_gradient(RESIZED[method], methods, added(dense)) for dense in (False, True))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10 * np.abs(b).max())


def test_a_learned_range_keeps_tensorflows_derivatives():
    h, low, high = (tf.constant(each, tf.float32) for each in (X, *RANGE))
    found = []
    for exact in (False, True):
        with exact_derivatives() if exact else tf.name_scope("own"), tf.GradientTape() as tape:
            tape.watch([h, low, high])
            value = tf.reduce_sum(tf.tanh(tf.quantization.fake_quant_with_min_max_vars_per_channel(h, low, high)))
        found.append(tape.gradient(value, [h, low, high]))
    for own, ours in zip(*found, strict=True):
        assert np.abs(own).max() > 0
        np.testing.assert_allclose(ours, own, rtol=1e-6)


def test_a_model_that_resizes_is_penalised_in_training():
    """Keras's own step, against differences of the penalty: the first convolution and the last."""
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Conv2D(2, 3, padding="same", activation="tanh"),
            layers.UpSampling2D(2, interpolation="bilinear"),
            layers.Conv2D(1, 3, activation="tanh"),
            layers.GlobalAveragePooling2D(),
        ]
    )
    draws = np.random.default_rng(1)
    for part in model.layers:
        for variable in part.trainable_variables:
            variable.assign(draws.standard_normal(variable.shape) / 2)
    x = tf.constant(draws.standard_normal((2, 4, 4, 1)))
    objective = gradient_penalty_objective(model, weight=100.0, loss=lambda y, y_pred: 10 * (y_pred[:, 0] + 1) ** 2)
    for kernel in (model.layers[0].kernel, model.layers[2].kernel):
        along, start, step = tf.constant(draws.standard_normal(kernel.shape)), tf.identity(kernel), 1e-2
        with tf.GradientTape() as tape:
            value = objective(x, tf.zeros(2))
        slope = tf.reduce_sum(tape.gradient(value, kernel) * along)
        ends = {}
        for place in (-2, -1, 1, 2):
            kernel.assign(start + place * step * along)
            ends[place] = objective(x, tf.zeros(2))
        kernel.assign(start)
        expected = (8 * (ends[1] - ends[-1]) - (ends[2] - ends[-2])) / (12 * step)
        np.testing.assert_allclose(slope, expected, rtol=2e-4)


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
        with exact_derivatives() if exact else tf.name_scope("own"), tf.GradientTape() as tape:
            tape.watch(x)
            mean, variance = tf.nn.moments(x, axes, keepdims=True)
            value = tf.reduce_sum(tf.tanh((x - mean) / tf.sqrt(variance + EPSILON)) ** 2)
        found.append((value, tape.gradient(value, x)))
    assert float(found[0][0]) == float(found[1][0]) and np.array_equal(found[0][1], found[1][1])


def test_tensorflow_is_put_back_in_any_order():
    own = tf.compat.v1.nn.moments
    from tensorflow.python.ops import gen_image_ops, nn_impl

    resize = gen_image_ops.resize_bilinear
    one, two = exact_derivatives(), exact_derivatives()
    one.__enter__(), two.__enter__()
    one.__exit__(None, None, None)
    assert nn_impl.moments is not own and gen_image_ops.resize_bilinear is not resize
    two.__exit__(None, None, None)
    assert nn_impl.moments is own and gen_image_ops.resize_bilinear is resize
