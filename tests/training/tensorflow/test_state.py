"""Nothing else is touched: statistics, random state, flags and layers are those of a plain step."""

import contextlib
import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from impls.tensorflow.training import adversarial_training
from tests.quick import mostly_slow
from tests.training.tensorflow.stateful import (
    LABELS,
    METHODS,
    PLACES,
    TOKENS,
    X,
    assert_close,
    compiled,
    fingerprint,
    network,
)

pytestmark = pytest.mark.usefixtures("double")


def surroundings(model):
    """Of what training leaves alone."""
    legacy = repr(np.random.get_state())  # noqa: NPY002
    generators = random.getstate(), legacy, tf.random.get_global_generator().state.numpy().tobytes()
    parts = [(vars(layer).keys() - {"_losses", "_loss_ids"}, layer.trainable) for layer in model._flatten_layers()]
    return generators, parts, keras.src.backend.in_stateless_scope()


@contextlib.contextmanager
def graphs_as_written():
    """Without rewriting, which rounds in another way when other passes are beside."""
    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False} | before)


def zeroed(name, place, **mode):
    """A model trained plainly, and one with strength 0: a tensor, so that all passes are run. Their logs too."""
    (method, strength, options), (data, target, where) = METHODS[name], PLACES[place]
    models = [compiled(network(data), keras.optimizers.Adam(), **mode) for _ in range(2)]
    zeros = dict.fromkeys({strength} | options.keys() & {"clean_weight"}, tf.constant(0.0, tf.float64))
    method(models[1], target, where=where, **options | zeros)
    return models, [[model.train_on_batch(data, LABELS) for _ in range(2)] for model in models]


@pytest.mark.parametrize("place", mostly_slow(PLACES, ["table"]))
@pytest.mark.parametrize("name", METHODS)
def test_strength_zero_trains_as_without(name, place):
    """So passes share their dropout masks."""
    models, logs = zeroed(name, place)
    assert fingerprint(models[0]) == fingerprint(models[1])
    assert logs[0] == logs[1]


@pytest.mark.parametrize(
    ("name", "place"), mostly_slow([("adversarial", "table"), ("virtual", "output")], [("adversarial", "table")])
)
def test_strength_zero_trains_as_without_in_a_graph(name, place):
    with graphs_as_written():
        models, logs = zeroed(name, place, run_eagerly=False)
    assert fingerprint(models[0]) == fingerprint(models[1])
    assert logs[0] == logs[1]


@pytest.mark.parametrize("name", METHODS)
def test_strength_zero_is_kerass_own_step(name):
    """So that it is bit for bit the same under every compiler."""
    method, strength, options = METHODS[name]
    models = [compiled(network(X), run_eagerly=False, jit_compile=name == "penalty") for _ in range(2)]
    method(models[1], **options | {strength: 0})
    assert models[1].training_objective.off
    if name == "penalty":
        for model in models:
            model.train_on_batch(X, LABELS)
        assert fingerprint(models[0]) == fingerprint(models[1])


def test_xla():
    """The same step as without it."""
    results = []
    for options in ({"run_eagerly": True}, {"run_eagerly": False, "jit_compile": True}):
        model = compiled(network(TOKENS, plain=True), **options)
        adversarial_training(model, "tokens", radius=0.5)
        model.train_on_batch(TOKENS, LABELS)
        results.append(model.get_weights())
    assert_close(results[1], results[0])


class Broken(RuntimeError):
    pass


@pytest.mark.parametrize("place", mostly_slow(PLACES, ["output"]))
@pytest.mark.parametrize("name", METHODS)
def test_nothing_else_is_touched(name, place):
    """Statistics and seeds move once, by the clean batch; when a step raises midway, nothing has moved."""
    (method, strength, options), (data, target, where) = METHODS[name], PLACES[place]
    calls_left = [1000]

    def loss(labels, outputs):
        calls_left[0] -= 1
        if calls_left[0] == 0:
            raise Broken
        return keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True)

    plain, model = (compiled(network(data), keras.optimizers.Adam(), loss) for _ in range(2))
    method(model, target, where=where, **{strength: 0.5} | options)
    around = surroundings(model)
    for each in (plain, model):
        each.train_on_batch(data, LABELS)
        each.reset_metrics()
    states = [[variable.numpy().tobytes() for variable in each.non_trainable_variables] for each in (plain, model)]
    assert len(states[0]) == 3 and states[0] == states[1]  # mean, variance, seed
    before = fingerprint(model)
    assert before != fingerprint(plain)
    calls_left[0] = 2 if method is adversarial_training else 1
    with pytest.raises(Broken):
        model.train_on_batch(data, LABELS)
    assert fingerprint(model) == before and surroundings(model) == around


class Fragile(layers.Layer):
    """Raises when it is called for the last time that it can be."""

    calls_left = 1000

    def call(self, x):
        self.calls_left -= 1
        if self.calls_left == 0:
            raise Broken
        return x


@pytest.mark.parametrize("name", METHODS)
def test_a_wrapped_layer_is_unwrapped_when_the_model_raises(name):
    method, strength, options = METHODS[name]
    model = network(X)
    model.add(Fragile())
    method(compiled(model), "first", where="output", **{strength: 0.5} | options)
    model.train_on_batch(X, LABELS)
    around = surroundings(model)
    model.layers[-1].calls_left = 1 if name == "penalty" else 2
    with pytest.raises(Broken):
        model.train_on_batch(X, LABELS)
    assert surroundings(model) == around
