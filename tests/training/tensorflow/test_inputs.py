"""Inputs, outputs and targets: several inputs, outputs by name, no labels, masks and shared layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from impls.tensorflow.training import adversarial_training
from tests.training.tensorflow.by_hand import (
    BATCH,
    CLASSES,
    ENTROPY,
    LABELS,
    OTHER,
    RADIUS,
    RATE,
    TIME,
    TOKENS,
    VOCABULARY,
    WIDTH,
    X,
    ascended,
    compiled,
    filled,
    same_step,
    stepped,
)

pytestmark = pytest.mark.usefixtures("double")


def two_inputs(kind):
    """A model of two inputs, as a list or a dict, and its batch."""
    first, second = keras.Input((WIDTH,), name="first"), keras.Input((2,), name="second")
    outputs = layers.Dense(CLASSES)(layers.Concatenate()([layers.Dense(3, "tanh")(first), second * second]))
    if kind == "dict":
        return filled(keras.Model({"first": first, "second": second}, outputs)), {"first": X, "second": OTHER}
    return filled(keras.Model([first, second], outputs)), [X, OTHER]


@pytest.mark.parametrize("kind", ["list", "dict"])
@pytest.mark.parametrize("target", ["second", 1])
def test_one_of_several_inputs(kind, target):
    model, batch = two_inputs(kind)

    def of(x):
        return ENTROPY(LABELS, model({"first": tf.constant(X), "second": x} if kind == "dict" else [tf.constant(X), x]))

    there = ascended(of, OTHER)
    expected = stepped(model, lambda: of(there))
    adversarial_training(compiled(model), target, radius=RADIUS, where="input")
    same_step(model, lambda: model.train_on_batch(batch, LABELS), expected)


def test_several_inputs_jointly():
    """One vector, one norm."""
    model, batch = two_inputs("dict")
    whole = tf.constant(np.concatenate([X, OTHER], 1))

    def of(x):
        return ENTROPY(LABELS, model({"first": x[:, :WIDTH], "second": x[:, WIDTH:]}))

    there = ascended(of, whole)
    expected = stepped(model, lambda: of(there))
    adversarial_training(compiled(model), ["second", "first"], radius=RADIUS, where="input")
    same_step(model, lambda: model.train_on_batch(batch, LABELS), expected)


def test_of_several_inputs_the_first_that_is_floating_point():
    tokens, x = keras.Input((TIME,), dtype="int32"), keras.Input((WIDTH,))
    embedded = layers.Flatten()(layers.Embedding(VOCABULARY, 2, name="tokens")(tokens))
    model = filled(keras.Model([tokens, x], layers.Dense(CLASSES)(layers.Concatenate()([embedded, keras.ops.tanh(x)]))))

    def of(x):
        return ENTROPY(LABELS, model([tf.constant(TOKENS), x]))

    there = ascended(of, X)
    expected = stepped(model, lambda: of(there))
    adversarial_training(compiled(model), radius=RADIUS)
    same_step(model, lambda: model.train_on_batch([TOKENS, X], LABELS), expected)


def test_a_dict_has_no_first():
    model, batch = two_inputs("dict")
    adversarial_training(compiled(model), radius=RADIUS)
    with pytest.raises(TypeError, match=r"x: got 2 floating-point tensors \(first, second\).*where=\"input\""):
        model.train_on_batch(batch, LABELS)


def test_dict_outputs_with_weights_of_their_own():
    x = keras.Input((WIDTH,))
    hidden = layers.Dense(4, "tanh")(x)
    outputs = {"kind": layers.Dense(CLASSES)(hidden), "size": layers.Dense(1)(hidden)}
    model, share = filled(keras.Model(x, outputs)), np.linspace(0.5, 2, BATCH)
    mse = keras.losses.MeanSquaredError()

    def of(x):
        found = model(x)
        return ENTROPY(LABELS, found["kind"]) + 0.5 * mse(OTHER[:, :1], found["size"], share)

    there = ascended(of, X)
    expected = stepped(model, lambda: of(there))
    compiled(model, {"kind": ENTROPY, "size": mse}, loss_weights={"kind": 1.0, "size": 0.5})
    adversarial_training(model, radius=RADIUS)
    batch = {"kind": LABELS, "size": OTHER[:, :1]}
    weights = {"kind": np.ones(BATCH), "size": share}
    same_step(model, lambda: model.train_on_batch(X, batch, sample_weight=weights), expected)


class Adds(layers.Layer):
    def call(self, x):
        self.add_loss(keras.ops.mean(x**2))
        return x


def test_fit_without_labels():
    model = filled(keras.Sequential([keras.Input((WIDTH,)), layers.Dense(4, "tanh"), Adds()]))

    def of(x):
        return tf.reduce_mean(model(x) ** 2)

    there = ascended(of, X)
    expected = stepped(model, lambda: of(there))
    model.compile(keras.optimizers.SGD(RATE), run_eagerly=True)
    adversarial_training(model, radius=RADIUS)
    same_step(model, lambda: model.fit(X, batch_size=BATCH, verbose=0).history["loss"][0], expected)


def test_frozen_layers_masks_and_shared_ones():
    """A frozen layer stays; a table that two towers share is perturbed in both."""
    table = layers.Embedding(VOCABULARY, 2, mask_zero=True, name="tokens")
    left, right = keras.Input((TIME,), dtype="int32"), keras.Input((TIME,), dtype="int32")
    pool, last = layers.GlobalAveragePooling1D(), layers.Dense(CLASSES, name="last")
    model = filled(keras.Model([left, right], last(layers.Subtract()([pool(table(left)), pool(table(right))]))))
    last.trainable = False
    tokens = [TOKENS, TOKENS[::-1] * (np.arange(TIME) < 3)]

    def of(value):
        def mean(tokens):
            valid = tf.constant(tokens != 0, tf.float64)[:, :, None]
            return tf.reduce_sum(tf.gather(value, tokens) * valid, 1) / tf.reduce_sum(valid, 1)

        return ENTROPY(LABELS, last(mean(tokens[0]) - mean(tokens[1])))

    start = tf.constant(table.embeddings.numpy())
    with tf.GradientTape() as tape:
        tape.watch(start)
        value = of(start)
    gradient = tf.convert_to_tensor(tape.gradient(value, start))
    r = RADIUS * gradient / tf.norm(gradient)
    expected = stepped(model, lambda: of(table.embeddings.value + r))
    adversarial_training(compiled(model), "tokens", radius=RADIUS)
    same_step(model, lambda: model.train_on_batch(tokens, LABELS), expected)
