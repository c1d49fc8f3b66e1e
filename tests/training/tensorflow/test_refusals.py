"""What cannot work is refused: the message names the argument, what came and what was expected."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from impls.tensorflow.training import (
    adversarial_objective,
    adversarial_training,
    gradient_penalty_training,
    virtual_adversarial_training,
)
from tests.training.tensorflow.by_hand import RADIUS, dense
from tests.training.tensorflow.stateful import CLASSES, LABELS, TOKENS, WIDTH, X, compiled, fingerprint, nested, network

pytestmark = pytest.mark.usefixtures("double")


def frozen(part):
    model = compiled(network(TOKENS))
    (model.layers[0] if part == "layer" else model).trainable = False
    return compiled(model)


class Own(keras.Model):
    def train_step(self, data):
        raise NotImplementedError


def layer_twice():
    x, layer = keras.Input((WIDTH,)), layers.Dense(WIDTH, name="twice")
    return compiled(keras.Model(x, layers.Dense(CLASSES)(layer(layer(x)))))


class NotTwice(layers.Layer):
    def call(self, x):
        return tf.cast(tf.nn.local_response_normalization(tf.cast(x, tf.float32)[:, None, None])[:, 0, 0], x.dtype)


def not_twice():
    return compiled(keras.Sequential([keras.Input((WIDTH,)), NotTwice(), layers.Dense(CLASSES)]))


# name: the model, the call, and what the message must say. None of these needs a step.
REFUSED = {
    "negative radius": (network, lambda m: adversarial_training(m, radius=-1.0), "radius: got -1.0"),
    "NaN radius": (network, lambda m: adversarial_training(m, radius=float("nan")), "radius: got nan"),
    "radius a sample": (network, lambda m: adversarial_training(m, radius=tf.ones(5)), "radius: got an array"),
    "negative weight": (network, lambda m: gradient_penalty_training(m, weight=-1.0), "weight: got -1.0"),
    "unknown norm": (network, lambda m: adversarial_training(m, radius=1.0, norm="l3"), "norm: got 'l3'.*'l1'"),
    "unknown scope": (network, lambda m: adversarial_training(m, radius=1.0, scope="batch"), "scope: got 'batch'"),
    "clean weight above 1": (network, lambda m: adversarial_training(m, radius=1.0, clean_weight=2), "clean_weight"),
    "unknown place": (network, lambda m: adversarial_training(m, radius=1.0, where="here"), "where: got 'here'"),
    "no power step": (network, lambda m: virtual_adversarial_training(m, radius=1.0, steps=0), "steps: got 0"),
    "negative seed": (network, lambda m: virtual_adversarial_training(m, radius=1.0, seed=-1), "seed: got -1"),
    "no model": (lambda data: "model", lambda m: adversarial_training(m, radius=1.0), "model: got a str"),
    "a train_step of its own": (lambda data: Own(), lambda m: adversarial_training(m, radius=1.0), "got a Own with a"),
    "unknown table": (
        lambda data: nested(),
        lambda m: adversarial_training(m, "head", radius=1.0),
        "target: got 'head', expected the name of an Embedding: left/tokens, right/tokens",
    ),
    "no table": (network, lambda m: adversarial_training(m, "first", radius=1.0), "but the model has none"),
    "unknown layer": (
        lambda data: nested(),
        lambda m: adversarial_training(m, "body", radius=1.0, where="output"),
        "target: got 'body', expected the name of a layer: .*left/tokens.*, head",
    ),
    "two tables": (
        lambda data: nested(),
        lambda m: adversarial_training(m, "tokens", radius=1.0),
        "target: got 'tokens', which fits left/tokens and right/tokens",
    ),
    "frozen table": (
        lambda data: frozen("layer"),
        lambda m: adversarial_training(m, "tokens", radius=1.0),
        "table of 'tokens' is not trained",
    ),
    "frozen model": (
        lambda data: frozen("model"),
        lambda m: gradient_penalty_training(m, "tokens", weight=1.0),
        "table of 'tokens' is not trained",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused(name):
    build, call, message = REFUSED[name]
    model = build(X)
    with pytest.raises((ValueError, TypeError), match=message):
        call(model)
    assert not hasattr(model, "training_objective")


# name: the model, the call, the batch, and what the message of the first step must say.
REFUSED_IN_THE_STEP = {
    "integers": (
        lambda: compiled(network(TOKENS)),
        None,
        TOKENS,
        "x: got int32, expected floating.*name the embedding",
    ),
    "tokens as numbers": (
        lambda: compiled(network(TOKENS)),
        None,
        TOKENS * 1.0,
        "does not depend on the model's input",
    ),
    "no sample": (lambda: compiled(network(X)), None, X[:0], r"x: got shape \(0, 4\), expected at least one"),
    "NaN in the input": (lambda: compiled(network(X)), None, np.full_like(X, np.nan), "model's input: got NaN"),
    "a loss that is a sum": (
        lambda: compiled(network(X), loss=keras.losses.SparseCategoricalCrossentropy(True, reduction="sum")),
        lambda m: adversarial_training(m, radius=1.0, norm="raw"),
        X,
        "with reduction 'sum', expected a mean",
    ),
    "an infinite loss": (
        lambda: compiled(network(X), loss=lambda labels, outputs: keras.ops.mean(outputs, -1) + np.inf),
        None,
        X,
        "loss: got NaN or infinity",
    ),
    "a layer that is called twice": (
        layer_twice,
        lambda m: adversarial_training(m, "twice", radius=1.0, where="output"),
        X,
        "output of 'twice' was reached 2 times",
    ),
    "probabilities by the loss": (
        lambda: compiled(network(X), loss="sparse_categorical_crossentropy"),
        lambda m: virtual_adversarial_training(m, radius=1.0),
        X,
        "outputs that are probabilities.*from_logits=True",
    ),
    "one class": (
        lambda: compiled(keras.Sequential([keras.Input((WIDTH,)), layers.Dense(1)]), loss="mse"),
        lambda m: virtual_adversarial_training(m, radius=1.0),
        X,
        r"model: got shape \(5, 1\), expected logits of two classes or more.*\[z, 0\]",
    ),
    "nothing to train": (lambda: frozen_of(X), None, X, "no trainable weights"),
    "a table frozen afterwards": (
        lambda: compiled(network(TOKENS)),
        lambda m: (adversarial_training(m, "tokens", radius=1.0), setattr(m.layers[0], "trainable", False)),
        TOKENS,
        "table of 'tokens' is not trained",
    ),
    "no second derivative": (
        not_twice,
        lambda m: gradient_penalty_training(m, weight=1.0),
        X,
        "does not differentiate, or not twice.*LRNGrad.*adversarial_training",
    ),
}


def frozen_of(data):
    model = network(data)
    model.trainable = False
    return compiled(model)


@pytest.mark.parametrize("name", REFUSED_IN_THE_STEP)
def test_what_the_first_step_shows_is_refused(name):
    build, call, batch, message = REFUSED_IN_THE_STEP[name]
    model = build()
    (call or (lambda m: adversarial_training(m, radius=1.0)))(model)
    before = fingerprint(model)
    with pytest.raises((ValueError, TypeError), match=message):
        model.train_on_batch(batch, LABELS[: len(batch)])
    assert fingerprint(model)[: len(before)] == before or not before


def test_nan_stops_a_graph_before_it_writes():
    model = compiled(network(X), keras.optimizers.Adam(), run_eagerly=False)
    adversarial_training(model, radius=0.5)
    model.train_on_batch(X, LABELS)
    model.reset_metrics()
    before = fingerprint(model)
    with pytest.raises(tf.errors.InvalidArgumentError, match="loss: got NaN or infinity"):
        model.train_on_batch(np.full_like(X, np.nan), LABELS)
    assert fingerprint(model) == before


def test_a_stop_gradient_on_the_target_is_refused():
    x = keras.Input((WIDTH,))
    model = keras.Model(x, layers.Dense(CLASSES)(layers.Lambda(tf.stop_gradient)(x)))
    adversarial_training(compiled(model), radius=RADIUS)
    with pytest.raises(ValueError, match=r"does not depend on the model's input.*stop_gradient"):
        model.train_on_batch(X, LABELS)


def test_other_backends_of_keras_are_refused(monkeypatch):
    model = dense()
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="got the jax backend, expected KERAS_BACKEND=tensorflow"):
        adversarial_objective(model, radius=RADIUS)
