"""Training with Keras: the perturbation is the contract's, nothing else is touched, what cannot work is refused."""

import contextlib
import hashlib
import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from impls.tensorflow.adversarial import adversarial_loss, fgm
from impls.tensorflow.embedding import perturb_table
from impls.tensorflow.losses import cross_entropy, kl_divergence
from impls.tensorflow.norms import unit
from impls.tensorflow.penalty import input_gradient_penalty
from impls.tensorflow.training import (
    adversarial_training,
    gradient_penalty_training,
    plain_training,
    virtual_adversarial_training,
)
from impls.tensorflow.virtual_adversarial import vat_loss

BATCH, WIDTH, CLASSES, VOCABULARY, TIME, RATE = 5, 4, 3, 7, 6, 0.1
RNG = np.random.default_rng(0)
X, LABELS = RNG.standard_normal((BATCH, WIDTH)), RNG.integers(0, CLASSES, BATCH)
TOKENS = RNG.integers(0, VOCABULARY - 1, (BATCH, TIME)).astype(np.int32)  # tokens repeat; the last one never occurs

METHODS = {
    "adversarial": (adversarial_training, "radius", {}),
    "mixed": (adversarial_training, "radius", {"clean_weight": 0.25}),
    "penalty": (gradient_penalty_training, "weight", {}),
    "virtual": (virtual_adversarial_training, "weight", {"radius": 0.5, "entropy_weight": 0.5}),
}
PLACES = {  # data, target, where
    "input": (X, None, "table"),
    "output": (X, "first", "output"),
    "table": (TOKENS, "tokens", "table"),
    "output of the embedding": (TOKENS, "tokens", "output"),
}


@pytest.fixture(autouse=True)
def _double(bridge):
    """Double precision, so that a mistake is larger than rounding."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")  # Keras derives it from floatx once, at the first layer of the process
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


def network(data, *, plain=False):
    """A classifier of X or of TOKENS, the same each time, with all that keeps state or draws unless plain."""
    of_tokens = data is TOKENS
    stateful = [] if plain else [layers.BatchNormalization(), layers.Dropout(0.4, seed=1)]
    first = [layers.Embedding(VOCABULARY, WIDTH, name="tokens"), layers.GlobalAveragePooling1D()]
    model = keras.Sequential(
        [
            keras.Input(data.shape[1:], dtype=data.dtype.name),
            *(first if of_tokens else [layers.Dense(WIDTH, name="first")]),
            *stateful,
            layers.Activation("tanh"),
            layers.Dense(CLASSES, kernel_regularizer=None if plain else "l2"),
        ]
    )
    rng = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign(rng.standard_normal(weight.shape))
    return model


def compiled(model, optimizer=None, loss=None, **options):
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.SGD(RATE), loss, **({"run_eagerly": True} | options))
    return model


def logits(weights, x):
    """What `network(…, plain=True)` computes after its first layer, by itself."""
    *_, kernel, bias = weights
    return tf.tanh(x) @ kernel + bias


def of_input(weights, x):
    return logits(weights, x @ weights[0] + weights[1])


def of_embedded(weights, embedded):
    return logits(weights, tf.reduce_mean(embedded, 1))


def of_table(weights, table):
    return of_embedded(weights, tf.gather(table, TOKENS))


def start_of(shape, seed=0):
    return tf.random.stateless_normal(shape, [seed, 0], dtype=tf.float64, alg="philox")


class Point:
    """What is perturbed, as a function of the weights, and the outputs as a function of it."""

    def __init__(self, place, weights):
        self.weights = weights
        self.f, self.x = {
            "input": lambda: (of_input, tf.constant(X)),
            "output": lambda: (logits, X @ weights[0] + weights[1]),
            "table": lambda: (of_table, weights[0]),
            "output of the embedding": lambda: (of_embedded, tf.gather(weights[0], TOKENS)),
        }[place]()

    def outputs(self, x):
        return self.f(self.weights, x)

    def loss(self, x):
        return cross_entropy(self.outputs(x), tf.constant(LABELS))


def mixed(point, r, clean_weight=0.0):
    return adversarial_loss(point.loss, point.x, r, clean_weight=clean_weight)


def table_penalty(point):
    with tf.GradientTape() as tape:
        tape.watch(point.x)
        mean = tf.reduce_mean(point.loss(point.x))
    return tf.reduce_sum(tf.convert_to_tensor(tape.gradient(mean, point.x)) ** 2)


def smoothness(point, start, how="fisher", **options):
    """`vat_loss` as `virtual_adversarial_training` has it."""
    return vat_loss(point.outputs, point.x, start, radius=0.3, how=how, **options)


def table_vat(point):
    """One power step on one vector, the table: Jᵀ(diag p - ppᵀ)Jd."""
    x, direction = tf.identity(point.x), unit(start_of(point.x.shape), scope="tensor")
    with tf.autodiff.ForwardAccumulator(x, direction) as forward, tf.GradientTape() as tape:
        tape.watch(x)
        clean = point.outputs(x)
        change = tf.stop_gradient(forward.jvp(clean))
        p = tf.stop_gradient(tf.nn.softmax(clean))
        total = tf.reduce_sum(clean * (p * (change - tf.reduce_sum(p * change, 1, keepdims=True))))
    direction = tf.stop_gradient(unit(tf.convert_to_tensor(tape.gradient(total, x)), scope="tensor"))
    return kl_divergence(tf.stop_gradient(clean), point.outputs(point.x + 0.3 * direction))


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


def assert_close(found, expected):
    for a, b in zip(found, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert np.abs(a - b).max() <= 50 * np.finfo(b.dtype).eps * max(1, np.abs(b).max())


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


@pytest.mark.parametrize("name", ["L2 penalty", "VAT, embedded"])
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


def fingerprint(model):
    """Of everything that training moves."""
    every = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return [hashlib.sha256(variable.numpy().tobytes()).hexdigest() for variable in every]


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


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", METHODS)
def test_strength_zero_trains_as_without(name, place):
    """So passes share their dropout masks."""
    models, logs = zeroed(name, place)
    assert fingerprint(models[0]) == fingerprint(models[1])
    assert logs[0] == logs[1]


@pytest.mark.parametrize(("name", "place"), [("adversarial", "table"), ("virtual", "output")])
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


@pytest.mark.parametrize("place", PLACES)
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


def test_metrics_are_of_the_clean_predictions_and_the_loss_is_the_objective():
    models = [compiled(network(X, plain=True), metrics=["accuracy"]) for _ in range(2)]
    adversarial_training(models[1], radius=9.0)
    logs = [model.train_on_batch(X, LABELS, return_dict=True) for model in models]
    assert logs[1]["accuracy"] == logs[0]["accuracy"]
    assert logs[1]["loss"] > 1.2 * logs[0]["loss"]


def test_all_of_fit_works():
    model, seen = network(TOKENS), []
    adversarial_training(model, "tokens", radius=0.5)  # before compile
    compiled(model, metrics=["accuracy"], run_eagerly=False)
    history = model.fit(
        TOKENS,
        LABELS,
        sample_weight=np.ones(BATCH),
        validation_data=(TOKENS, LABELS),
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))],
        epochs=2,
        verbose=0,
    ).history
    assert seen == [0, 1]
    assert history.keys() == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert np.isfinite(history["loss"]).all()


def test_a_model_that_is_not_built_is_built():
    model = keras.Sequential([layers.Dense(4, name="first"), layers.BatchNormalization(), layers.Dense(CLASSES)])
    adversarial_training(model, "first", radius=0.5, where="output")
    compiled(model, metrics=["accuracy"]).train_on_batch(X, LABELS)
    built = [variable.numpy() for variable in model.variables]
    assert len(built) == 8 and all(np.isfinite(value).all() for value in built)


def test_several_outputs():
    x = keras.Input((WIDTH,))
    model = keras.Model(x, [layers.Dense(CLASSES, name="a")(x), layers.Dense(1, name="b")(x)])
    loss = [keras.losses.SparseCategoricalCrossentropy(from_logits=True), "mse"]
    results = []
    for train in (plain_training, lambda model: adversarial_training(model, radius=tf.constant(0.0, tf.float64))):
        clone = keras.models.clone_model(model)
        clone.set_weights(model.get_weights())
        train(clone)
        compiled(clone, loss=loss)
        results.append((clone.train_on_batch(X, [LABELS, X[:, :1]]), fingerprint(clone)))
    assert results[0] == results[1]


def test_compile_keeps_it_a_second_call_is_refused_and_plain_training_undoes_it():
    model = compiled(network(X))
    own = type(model)
    plain_training(model)  # nothing to undo
    objective = adversarial_training(model, radius=0.5)
    compiled(model)
    assert model.training_objective is objective
    with pytest.raises(ValueError, match=r"is trained by adversarial_training already.*plain_training"):
        gradient_penalty_training(model, weight=0.5)
    assert model.training_objective is objective
    plain_training(model)
    assert type(model) is own and "training_objective" not in vars(model) and model.train_function is None
    gradient_penalty_training(model, weight=0.5)


def nested():
    """Two tables of one name, in two encoders."""

    def encoder(name):
        return keras.Sequential(
            [
                keras.Input((TIME,), dtype="int32"),
                layers.Embedding(VOCABULARY, WIDTH, name="tokens"),
                layers.GlobalAveragePooling1D(),
            ],
            name=name,
        )

    x = keras.Input((TIME,), dtype="int32")
    return keras.Model(x, layers.Dense(CLASSES, name="head")(encoder("left")(x) + encoder("right")(x)))


def test_padding_stays_padding_behind_a_perturbed_output():
    """A nested model's output brings its mask along."""

    def text():
        tokens = keras.Input((TIME,), dtype="int32")
        encoder = keras.Sequential(
            [keras.Input((TIME,), dtype="int32"), layers.Embedding(VOCABULARY, WIDTH, mask_zero=True)], name="encoder"
        )
        return keras.Model(tokens, layers.Dense(CLASSES)(layers.GlobalAveragePooling1D()(encoder(tokens))))

    models = [text(), text()]
    models[1].set_weights(models[0].get_weights())
    adversarial_training(models[1], "encoder", radius=tf.constant(0.0, tf.float64), where="output")
    padded = TOKENS * (np.arange(TIME) < 3)
    logs = [compiled(model).train_on_batch(padded, LABELS) for model in models]
    assert logs[0] == logs[1] and fingerprint(models[0]) == fingerprint(models[1])


def test_a_name_is_found_within_nested_layers():
    model = compiled(nested())
    adversarial_training(model, "right/tokens", radius=0.5)
    assert model.training_objective.sites.layers[0][1] is model.get_layer("right").layers[0]
    model.train_on_batch(TOKENS, LABELS)
    plain_training(model)
    adversarial_training(model, "head", radius=0.5, where="output")
    assert model.training_objective.sites.layers[0][1] is model.get_layer("head")


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
