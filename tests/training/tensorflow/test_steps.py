"""One step of a one-liner is the step of the contract's functions on the same weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from impls.tensorflow.adversarial import fgm
from impls.tensorflow.embedding import perturb_table
from impls.tensorflow.losses import cross_entropy
from impls.tensorflow.penalty import input_gradient_penalty
from impls.tensorflow.training import (
    adversarial_training,
    gradient_penalty_training,
    plain_training,
    virtual_adversarial_training,
)
from tests.quick import mostly_slow
from tests.training.tensorflow.stateful import (
    BATCH,
    CLASSES,
    LABELS,
    METHODS,
    PLACES,
    RATE,
    TOKENS,
    VOCABULARY,
    WIDTH,
    Point,
    X,
    assert_close,
    compiled,
    mixed,
    network,
    smoothness,
    start_of,
    table_penalty,
    table_vat,
)

pytestmark = pytest.mark.usefixtures("double")


# name: the place, the one-liner, and its objective a sample in terms of the contract's functions.
OBJECTIVES = {
    "FGM": (
        "input",
        lambda *at, **where: adversarial_training(*at, radius=0.3, **where),
        lambda p: mixed(p, fgm(p.loss, p.x, radius=0.3)),
    ),
    "FGSM, mixed": (
        "input",
        lambda *at, **where: adversarial_training(*at, radius=0.3, norm="linf", clean_weight=0.25, **where),
        lambda p: mixed(p, fgm(p.loss, p.x, radius=0.3, norm="linf"), 0.25),
    ),
    "raw gradient": (
        "input",
        lambda *at, **where: adversarial_training(*at, radius=0.3, norm="raw", **where),
        lambda p: mixed(p, fgm(p.loss, p.x, radius=0.3, norm="raw")),
    ),
    "one norm for all": (
        "output",
        lambda *at, **where: adversarial_training(*at, radius=0.3, scope="tensor", **where),
        lambda p: mixed(p, fgm(p.loss, p.x, radius=0.3, scope="tensor")),
    ),
    "L1 ball, embedded": (
        "output of the embedding",
        lambda *at, **where: adversarial_training(*at, radius=0.3, norm="l1", **where),
        lambda p: mixed(p, fgm(p.loss, p.x, radius=0.3, norm="l1")),
    ),
    "table": (
        "table",
        lambda *at, **where: adversarial_training(*at, radius=0.3, **where),
        lambda p: p.loss(p.x + perturb_table(p.loss, p.x, radius=0.3)),
    ),
    "table, raw": (
        "table",
        lambda *at, **where: adversarial_training(*at, radius=0.3, norm="raw", **where),
        lambda p: p.loss(p.x + perturb_table(p.loss, p.x, radius=0.3, norm="raw")),
    ),
    "penalty": (
        "input",
        lambda *at, **where: gradient_penalty_training(*at, weight=0.5, **where),
        lambda p: p.loss(p.x) + 0.5 * input_gradient_penalty(p.loss, p.x),
    ),
    "L2 penalty": (
        "output",
        lambda *at, **where: gradient_penalty_training(*at, weight=0.5, norm="l2", **where),
        lambda p: p.loss(p.x) + 0.5 * input_gradient_penalty(p.loss, p.x, norm="l2"),
    ),
    "L1 penalty, embedded": (
        "output of the embedding",
        lambda *at, **where: gradient_penalty_training(*at, weight=0.5, norm="l1", **where),
        lambda p: p.loss(p.x) + 0.5 * input_gradient_penalty(p.loss, p.x, norm="l1"),
    ),
    "table penalty": (
        "table",
        lambda *at, **where: gradient_penalty_training(*at, weight=0.5, **where),
        lambda p: p.loss(p.x) + 0.5 * table_penalty(p),
    ),
    "VAT": (
        "input",
        lambda *at, **where: virtual_adversarial_training(*at, radius=0.3, weight=2.0, seed=3, **where),
        lambda p: p.loss(p.x) + 2 * smoothness(p, start_of(p.x.shape, 3)),
    ),
    "VAT+EntMin, two steps": (
        "output",
        lambda *at, **where: virtual_adversarial_training(*at, radius=0.3, steps=2, entropy_weight=0.5, **where),
        lambda p: p.loss(p.x) + smoothness(p, start_of(p.x.shape), steps=2, entropy_weight=0.5),
    ),
    "VAT, by differences": (
        "output",
        lambda *at, **where: virtual_adversarial_training(*at, radius=0.3, xi=0.1, how="finite_difference", **where),
        lambda p: p.loss(p.x) + smoothness(p, start_of(p.x.shape), xi=0.1, how="finite_difference"),
    ),
    "VAT, embedded": (
        "output of the embedding",
        lambda *at, **where: virtual_adversarial_training(*at, radius=0.3, **where),
        lambda p: p.loss(p.x) + smoothness(p, start_of(p.x.shape)),
    ),
    "VAT, table": (
        "table",
        lambda *at, **where: virtual_adversarial_training(*at, radius=0.3, **where),
        lambda p: p.loss(p.x) + table_vat(p),
    ),
}


def expected_step(weights, objective):
    """Loss and weights after one step of SGD."""
    weights = [tf.constant(weight) for weight in weights]
    with tf.GradientTape() as tape:
        tape.watch(weights)
        loss = tf.reduce_mean(objective(weights))
    gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, weights)]
    return loss, [weight - RATE * gradient for weight, gradient in zip(weights, gradients, strict=True)]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_step_is_the_contracts(name):
    place, method, objective = OBJECTIVES[name]
    data, target, where = PLACES[place]
    model = compiled(network(data, plain=True))
    loss, weights = expected_step(model.get_weights(), lambda weights: objective(Point(place, weights)))
    method(model, target, where=where)
    logged = model.train_on_batch(data, LABELS)
    assert_close([np.float64(logged)], [loss])
    assert_close(model.get_weights(), weights)


@pytest.mark.parametrize("name", mostly_slow(["L2 penalty", "VAT, embedded"], ["VAT, embedded"]))
def test_compiled_steps_are_the_eager_ones(name):
    """Also where a trace has to serve batches of any size, as Keras's does from the second size on."""
    place, method, _ = OBJECTIVES[name]
    data, target, where = PLACES[place]
    results = []
    for eagerly in (True, False):
        model = compiled(network(data), run_eagerly=eagerly)
        method(model, target, where=where)
        model.fit(data, LABELS, batch_size=3, shuffle=False, verbose=0)  # the last batch is smaller
        results.append(model.get_weights())
    assert_close(results[1], results[0])


def test_sample_weights_scale_a_samples_own_gradient():
    model, share = compiled(network(X, plain=True)), np.linspace(0.5, 2, BATCH)

    def objective(weights):
        point = Point("input", weights)

        def loss(x):
            return share * point.loss(x)

        return loss(point.x + fgm(loss, point.x, radius=0.5, norm="raw"))

    loss, weights = expected_step(model.get_weights(), objective)
    adversarial_training(model, radius=0.5, norm="raw")
    assert_close([np.float64(model.train_on_batch(X, LABELS, sample_weight=share))], [loss])
    assert_close(model.get_weights(), weights)


class Tied(keras.Model):
    """Reads the table twice, the second time not by the layer."""

    def __init__(self):
        super().__init__()
        self.tokens = layers.Embedding(VOCABULARY, WIDTH, name="tokens")

    def call(self, tokens):
        return keras.ops.mean(self.tokens(tokens), 1) @ keras.ops.transpose(self.tokens.embeddings)


def test_table_is_perturbed_wherever_it_is_read():
    model = compiled(Tied())
    model.train_on_batch(TOKENS, LABELS)

    def objective(weights):
        def loss(table):
            mean = tf.reduce_mean(tf.gather(table, TOKENS), 1)
            return cross_entropy(tf.matmul(mean, table, transpose_b=True), tf.constant(LABELS))

        return loss(weights[0] + perturb_table(loss, weights[0], radius=0.5))

    _, weights = expected_step(model.get_weights(), objective)
    adversarial_training(model, "tokens", radius=0.5)
    model.train_on_batch(TOKENS, LABELS)
    assert_close(model.get_weights(), weights)


@pytest.mark.parametrize("method", [adversarial_training, gradient_penalty_training])
def test_a_residual_branch_beside_the_target_is_not_differentiated(method):
    """Also where the layer hands on the very tensor that it gets, so that both branches hold one."""
    results = []
    for same in (layers.Activation("linear", name="same"), layers.Rescaling(1.0, name="same")):
        x = keras.Input((WIDTH,))
        added = layers.Add()([layers.Activation("tanh")(same(x)), layers.Activation("sigmoid")(x)])
        outputs = layers.Dense(CLASSES, kernel_initializer=keras.initializers.RandomNormal(seed=1))(added)
        model = compiled(keras.Model(x, outputs))
        strength = {"radius": 0.5, "norm": "raw"} if method is adversarial_training else {"weight": 0.5}
        method(model, "same", where="output", **strength)
        model.train_on_batch(X, LABELS)
        results.append(model.get_weights())
    assert_close(*results)


def test_regulariser_is_of_the_table_as_it_is():
    """Its gradient would move tokens that do not occur, and B times as far."""
    model = network(TOKENS, plain=True)
    model.layers[0].embeddings.regularizer = keras.regularizers.L2(0.25)
    compiled(model)

    def objective(weights):
        point = Point("table", weights)
        r = perturb_table(point.loss, point.x, radius=0.5)
        return point.loss(point.x + r) + 0.25 * tf.reduce_sum(weights[0] ** 2)

    loss, weights = expected_step(model.get_weights(), objective)
    adversarial_training(model, "tokens", radius=0.5)
    assert_close([np.float64(model.train_on_batch(TOKENS, LABELS))], [loss])
    assert_close(model.get_weights(), weights)


def test_gradient_of_a_table_stays_sparse(monkeypatch):
    model, kinds = compiled(network(TOKENS)), []
    apply = model.optimizer.apply_gradients

    def spy(pairs):
        pairs = list(pairs)
        kinds.append(type(pairs[0][0]))
        return apply(pairs)

    monkeypatch.setattr(model.optimizer, "apply_gradients", spy)
    for method, strength, options in METHODS.values():
        plain_training(model)
        method(model, "tokens", where="table", **{strength: 0.5} | options)
        model.train_on_batch(TOKENS, LABELS)
    assert kinds == [tf.IndexedSlices] * len(METHODS)


def test_every_step_of_vat_starts_elsewhere_and_every_run_alike():
    logs = []
    for _ in range(2):
        model = compiled(network(X, plain=True), keras.optimizers.SGD(0.0))  # the model stays where it is
        virtual_adversarial_training(model, radius=0.5)
        logs.append([model.train_on_batch(X, LABELS) for _ in range(3)])
    assert logs[0] == logs[1] and len(set(logs[0])) == 3
