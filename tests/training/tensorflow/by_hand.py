"""Small Keras models without state, and steps on them as one writes them by hand with a tape."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

RNG = np.random.default_rng(0)


BATCH, WIDTH, CLASSES, TIME, VOCABULARY, RATE, RADIUS = 6, 4, 3, 5, 7, 0.1, 0.3


X, LABELS = RNG.standard_normal((BATCH, WIDTH)), RNG.integers(0, CLASSES, BATCH)


OTHER = RNG.standard_normal((BATCH, 2))


TOKENS = RNG.integers(1, VOCABULARY, (BATCH, TIME)).astype("int32")


ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float64")


def filled(model, seed=1):
    """The model with the same weights each time."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(rng.standard_normal(weight.shape) / 2)
    return model


def dense(**options):
    keras.utils.set_random_seed(0)
    return filled(
        keras.Sequential(
            [keras.Input((WIDTH,)), layers.Dense(5, "tanh", name="hidden"), layers.Dense(CLASSES, **options)]
        )
    )


def compiled(model, loss=ENTROPY, **options):
    model.compile(
        options.pop("optimizer", None) or keras.optimizers.SGD(RATE), loss, **({"run_eagerly": True} | options)
    )
    return model


def rowwise(gradient):
    """Each sample's gradient, of length 1."""
    axes = tuple(range(1, gradient.shape.rank))
    return gradient / tf.sqrt(tf.reduce_sum(gradient**2, axes, keepdims=True))


def ascended(loss, x, radius=RADIUS):
    """x + r, r by the fast gradient method."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss(x)
    return tf.stop_gradient(x + radius * rowwise(tape.gradient(value, x)))


def stepped(model, value_of, rate=RATE):
    """Value, and the weights after a step of SGD, the model left as it is."""
    with tf.GradientTape() as tape:
        value = value_of()
    weights = model.trainable_variables
    gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(value, weights)]
    return float(value), [weight.numpy() - rate * gradient for weight, gradient in zip(weights, gradients, strict=True)]


def assert_close(found, expected, ulps=60):
    for a, b in zip(found, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        eps = np.finfo(b.dtype).eps if b.dtype.kind == "f" else 0
        assert np.abs(a - b).max() <= ulps * eps * max(1, np.abs(b).max())


def same_step(model, step, expected):
    value, weights = expected
    assert_close([np.ravel(step())[0]], [value])
    assert_close([weight.numpy() for weight in model.trainable_variables], weights)


def fgm_by_hand(model, x=X, labels=LABELS, loss=ENTROPY):
    def of(x):
        return loss(labels, model(x, training=True))

    there = ascended(of, x)
    return stepped(model, lambda: of(there))
