"""Keras: the objective in loops of one's own is the step that one writes by hand, and so is `fit` with all it has."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from impls.tensorflow.passes import Batch
from impls.tensorflow.smoothness import Smoothness
from impls.tensorflow.training import (
    adversarial_objective,
    adversarial_training,
    freelb_objective,
    freelb_training,
    gradient_penalty_objective,
    gradient_penalty_training,
    plain_training,
    virtual_adversarial_objective,
    virtual_adversarial_training,
)

RNG = np.random.default_rng(0)
BATCH, WIDTH, CLASSES, TIME, VOCABULARY, RATE, RADIUS = 6, 4, 3, 5, 7, 0.1, 0.3
X, LABELS = RNG.standard_normal((BATCH, WIDTH)), RNG.integers(0, CLASSES, BATCH)
OTHER = RNG.standard_normal((BATCH, 2))
TOKENS = RNG.integers(1, VOCABULARY, (BATCH, TIME)).astype("int32")
ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float64")


@pytest.fixture(autouse=True)
def _double(bridge):
    """Double precision, so that a mistake is larger than rounding."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


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


# Where the objective may stand: (model, objective) -> a step that returns the value.


def taped(model, objective):
    optimizer = keras.optimizers.SGD(RATE)

    def step(x, labels):
        with tf.GradientTape() as tape:
            value = objective(x, labels)
        optimizer.apply_gradients(zip(tape.gradient(value, model.trainable_variables), model.trainable_variables))  # noqa: B905
        return value

    optimizer.build(model.trainable_variables)
    return step


def traced(model, objective, **options):
    step = taped(model, objective)
    shapes = [tf.TensorSpec([None, WIDTH], tf.float64), tf.TensorSpec([None], tf.int64)]
    return tf.function(step, input_signature=shapes, **options)


LOOPS = {"eager": taped, "traced": traced, "xla": lambda *given: traced(*given, jit_compile=True)}


@pytest.mark.parametrize("loop", LOOPS)
def test_in_a_loop_with_a_tape(loop):
    model = dense()
    expected = fgm_by_hand(model)
    step = LOOPS[loop](model, adversarial_objective(model, radius=RADIUS, loss=ENTROPY))
    same_step(model, lambda: step(tf.constant(X), tf.constant(LABELS)), expected)


class Hooked(keras.Model):
    """Its loss is an objective, and a term of its own that the objective does not see."""

    def __init__(self, make=lambda model: adversarial_objective(model, radius=RADIUS)):
        super().__init__()
        self.hidden, self.norm, self.last = layers.Dense(5), layers.BatchNormalization(), layers.Dense(CLASSES)
        self.objective = make(self)

    def call(self, x, training=False):
        return self.last(keras.ops.tanh(self.norm(self.hidden(x), training=training)))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        own = 0.25 * keras.ops.mean(y_pred**2)
        if not training:
            return super().compute_loss(x, y, y_pred, sample_weight) + own
        return self.objective(x, y, sample_weight) + own


def hooked(**options):
    model = Hooked()
    model(X)
    return compiled(filled(model), **options)


@pytest.mark.parametrize("eagerly", [True, False])
def test_in_a_models_own_compute_loss(eagerly):
    """Its other terms count once, and statistics move once."""
    model, plain = hooked(run_eagerly=eagerly), hooked()

    def value():
        def of(x):
            return ENTROPY(LABELS, plain(x, training=True))

        there, outputs = ascended(of, X), plain(X, training=True)
        return of(there) + 0.25 * tf.reduce_mean(outputs**2)

    expected = stepped(plain, value)
    before = hooked()
    before(X, training=True)
    same_step(model, lambda: model.train_on_batch(X, LABELS), expected)
    assert_close(model.norm.non_trainable_variables, before.norm.non_trainable_variables)
    model.evaluate(X, LABELS, verbose=0)


def test_a_compute_loss_over_another_must_say_which_loss_is_meant():
    class Over(Hooked):
        def compute_loss(self, *args, **kwargs):
            return super().compute_loss(*args, **kwargs)

    model = Over()
    model(X)
    with pytest.raises(TypeError, match=r"got a compute_loss in Over and in Hooked.*loss="):
        compiled(model).train_on_batch(X, LABELS)


class Stepping(keras.Model):
    def train_step(self, data):
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            value, outputs = self.objective(x, y, with_outputs=True)
        self.optimizer.apply(tape.gradient(value, self.trainable_variables), self.trainable_variables)
        self.outputs_seen = outputs
        return {"loss": value}


def test_in_a_train_step_of_its_own():
    x = keras.Input((WIDTH,))
    model = filled(Stepping(x, layers.Dense(CLASSES)(x)))
    model.objective = adversarial_objective(model, radius=RADIUS)
    expected, clean = fgm_by_hand(model), model(X)
    same_step(compiled(model), lambda: model.train_on_batch(X, LABELS), expected)
    assert np.array_equal(model.outputs_seen, clean)
    with pytest.raises(TypeError, match=r"a Stepping with a train_step of its own.*adversarial_objective"):
        adversarial_training(model, radius=RADIUS)


class OwnLoss(keras.Model):
    """A loss of its own, with a metric of its own."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seen = keras.metrics.Mean("seen")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        value = keras.ops.mean(keras.ops.sum((y_pred - keras.ops.one_hot(y, CLASSES)) ** 2, -1))
        self.seen.update_state(value)
        return value


def squares(labels, outputs):
    return tf.reduce_mean(tf.reduce_sum((outputs - tf.one_hot(labels, CLASSES, dtype=outputs.dtype)) ** 2, -1))


@pytest.mark.parametrize("eagerly", [True, False])
def test_fit_honours_a_compute_loss(eagerly):
    """It runs once a pass; its metric sees the clean batch."""
    x = keras.Input((WIDTH,))
    model = filled(OwnLoss(x, layers.Dense(CLASSES, "tanh")(x)))
    expected, clean = fgm_by_hand(model, loss=squares), squares(LABELS, model(X))
    model.compile(keras.optimizers.SGD(RATE), run_eagerly=eagerly)
    adversarial_training(model, radius=RADIUS)
    same_step(model, lambda: model.train_on_batch(X, LABELS), expected)
    assert_close([model.seen.result()], [clean])


# Inputs and outputs.


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


# Methods.


def pgd_by_hand(model, norm, steps, step, radius, bounds=None, start=0.0):
    def of(x):
        return ENTROPY(LABELS, model(x, training=True))

    def inside(r):
        if norm == "linf":
            r = tf.clip_by_value(r, -radius, radius)
        else:
            length = tf.norm(r, axis=1, keepdims=True)
            r = r * tf.where(length > radius, radius / tf.where(length > 0, length, 1), 1)
        return r if bounds is None else tf.clip_by_value(X + r, *bounds) - X

    r = inside(tf.zeros_like(X) + start)
    for _ in range(steps):
        there = tf.constant(X + r)
        with tf.GradientTape() as tape:
            tape.watch(there)
            value = of(there)
        gradient = tape.gradient(value, there)
        r = inside(r + step * (tf.sign(gradient) if norm == "linf" else rowwise(gradient)))
    return stepped(model, lambda: of(X + r))


@pytest.mark.parametrize(
    ("norm", "options", "step"),
    [
        ("l2", {"steps": 3}, 0.25),
        ("linf", {"steps": 2, "step": 0.2}, 0.2),
        ("linf", {"steps": 2, "bounds": (-1.5, 1.5)}, 0.375),
        ("l2", {"bounds": (-1.5, 1.5)}, 0.3),
    ],
)
def test_pgd(norm, options, step):
    model = dense()
    x = np.clip(X, -1.5, 1.5)
    globals_x = X.copy()
    X[:] = x
    try:
        expected = pgd_by_hand(model, norm, options.get("steps", 1), step, RADIUS, options.get("bounds"))
        adversarial_training(compiled(model), radius=RADIUS, norm=norm, **options)
        same_step(model, lambda: model.train_on_batch(X, LABELS), expected)
    finally:
        X[:] = globals_x


def ball(norm, number):
    seeds = [0, number]
    if norm == "linf":
        return 2 * tf.random.stateless_uniform((BATCH, WIDTH), seeds, dtype=tf.float64, alg="philox") - 1
    draws = tf.random.stateless_normal((BATCH, WIDTH + 2), seeds, dtype=tf.float64, alg="philox")
    return (draws / tf.norm(draws, axis=1, keepdims=True))[:, :WIDTH]


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_random_starts(norm):
    """Each step has its own, by the optimiser's count."""
    model = dense()
    adversarial_training(compiled(model), radius=RADIUS, norm=norm, steps=2, start="random")
    for number in range(2):
        expected = pgd_by_hand(model, norm, 2, 2.5 * RADIUS / 2, RADIUS, start=RADIUS * ball(norm, number))
        model.reset_metrics()
        same_step(model, lambda: model.train_on_batch(X, LABELS), expected)


@pytest.mark.parametrize("start", ["zero", "random"])
def test_freelb(start):
    model = dense()

    def of(x):
        return ENTROPY(LABELS, model(x, training=True))

    points, r = [], RADIUS * ball("l2", 0) if start == "random" else tf.zeros_like(X)
    for _ in range(3):
        points.append(X + r)
        r = r + ascended(of, X + r, 0.2) - (X + r)
        length = tf.norm(r, axis=1, keepdims=True)
        r = r * tf.minimum(1.0, RADIUS / length)
    expected = stepped(model, lambda: tf.add_n([of(point) for point in points]) / 3)
    freelb_training(compiled(model), radius=RADIUS, step=0.2, steps=3, start=start)
    same_step(model, lambda: model.train_on_batch(X, LABELS), expected)


@pytest.mark.parametrize("norm", ["l2_squared", "l2", "l1"])
@pytest.mark.parametrize("how", ["double_backward", "forward_over_reverse", "finite_difference"])
@pytest.mark.parametrize("eagerly", [True, False])
def test_penalties_in_each_way(norm, how, eagerly):
    model = dense()

    def value():
        with tf.GradientTape() as tape:
            x = tf.constant(X)
            tape.watch(x)
            mean = ENTROPY(LABELS, model(x, training=True))
        gradient = BATCH * tape.gradient(mean, x)
        norms = {
            "l2_squared": lambda: tf.reduce_sum(gradient**2, 1),
            "l2": lambda: tf.norm(gradient, axis=1),
            "l1": lambda: tf.reduce_sum(tf.abs(gradient), 1),
        }
        return mean + 0.5 * tf.reduce_mean(norms[norm]())

    expected = stepped(model, value)
    gradient_penalty_training(compiled(model, run_eagerly=eagerly), weight=0.5, norm=norm, how=how, xi=1e-4)
    found = np.float64(model.train_on_batch(X, LABELS))
    assert_close([found], [expected[0]])
    loose = 1e7 if how == "finite_difference" else 100  # ξ² = 1e-8, and ulp/ξ
    assert_close([weight.numpy() for weight in model.trainable_variables], expected[1], loose)


def divergence(p, q):
    p, q = tf.nn.log_softmax(p), tf.nn.log_softmax(q)
    return tf.reduce_sum(tf.exp(p) * (p - q), -1)


def vat_by_hand(f, x, number=0, entropy=0.0):
    """Of logits f(x): the regulariser, and what is added to it."""
    clean = tf.stop_gradient(f(x))
    draws = tf.random.stateless_normal(x.shape, [0, number], dtype=tf.float64, alg="philox")
    found = divergence(clean, f(x + direction_by_hand(f, x, rowwise(draws))))
    logits = tf.nn.log_softmax(f(x))
    return tf.reduce_mean(found - entropy * tf.reduce_sum(tf.exp(logits) * logits, -1))


def direction_by_hand(f, x, d, shares=1.0):
    """RADIUS along Jᵀ(diag p - ppᵀ)Jd, of logits each with its share."""
    x = tf.identity(x)
    with tf.autodiff.ForwardAccumulator(x, d) as forward, tf.GradientTape() as tape:
        tape.watch(x)
        logits = f(x)
        p, change = tf.stop_gradient((tf.nn.softmax(logits), forward.jvp(logits)))
        total = tf.reduce_sum(logits * shares * p * (change - tf.reduce_sum(p * change, -1, keepdims=True)))
    return tf.stop_gradient(RADIUS * rowwise(tape.gradient(total, x)))


def test_vat_of_an_unlabelled_batch():
    """loss + vat(unlabelled), which is how people write it."""
    model, unlabelled = dense(), tf.constant(RNG.standard_normal((3, WIDTH)))
    expected = stepped(model, lambda: ENTROPY(LABELS, model(X)) + vat_by_hand(model, unlabelled, entropy=0.5))
    vat = virtual_adversarial_objective(model, radius=RADIUS, entropy_weight=0.5)
    same_step(
        model,
        lambda: step_with(model, lambda: ENTROPY(LABELS, model(X)) + vat(unlabelled)),
        expected,
    )
    assert int(vat.steps.value) == 1


def step_with(model, value_of):
    with tf.GradientTape() as tape:
        value = value_of()
    keras.optimizers.SGD(RATE).apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)
    return value


def test_vat_of_a_softmax_uses_the_logits_that_keras_keeps():
    model, logits = dense(activation="softmax"), dense()
    entropy = keras.losses.SparseCategoricalCrossentropy()
    expected = stepped(logits, lambda: ENTROPY(LABELS, logits(X)) + vat_by_hand(logits, tf.constant(X)))
    virtual_adversarial_training(compiled(model, entropy), radius=RADIUS)
    found = np.float64(model.train_on_batch(X, LABELS))
    assert abs(found - expected[0]) < 1e-12
    assert_close([weight.numpy() for weight in model.trainable_variables], expected[1], 1e3)


@pytest.mark.parametrize("flat", [False, True])
def test_vat_of_a_sigmoid(flat):
    x = keras.Input((WIDTH,))
    outputs = layers.Dense(1)(layers.Dense(3, "tanh")(x))
    model = filled(keras.Model(x, keras.ops.squeeze(outputs, -1) if flat else outputs))
    entropy, labels = keras.losses.BinaryCrossentropy(from_logits=True), (LABELS > 1).astype("float64")
    labels = labels if flat else labels[:, None]

    def logits(x):
        z = tf.reshape(model(x), (-1, 1))
        return tf.concat([z, tf.zeros_like(z)], 1)

    expected = stepped(model, lambda: entropy(labels, model(X)) + vat_by_hand(logits, tf.constant(X)))
    virtual_adversarial_training(compiled(model, entropy), radius=RADIUS, outputs="sigmoid")
    same_step(model, lambda: model.train_on_batch(X, labels), expected)


@pytest.mark.parametrize("masked", [False, True])
def test_vat_of_logits_a_position(masked):
    """A sample's divergence is the mean over its positions, those that are not masked."""
    tokens = np.where(np.arange(TIME) < RNG.integers(2, TIME, (BATCH, 1)), TOKENS, 0)
    model = filled(
        keras.Sequential(
            [
                keras.Input((TIME,), dtype="int32"),
                layers.Embedding(VOCABULARY, 3, mask_zero=masked, name="tokens"),
                layers.Dense(CLASSES, "tanh"),
            ]
        )
    )
    labels = RNG.integers(0, CLASSES, (BATCH, TIME))
    valid = tf.constant(tokens != 0, tf.float64) if masked else tf.ones(TOKENS.shape, tf.float64)
    embedding, last = model.layers

    def mean(values):
        return tf.reduce_sum(values * valid, 1) / tf.reduce_sum(valid, 1)

    def value():
        x = embedding(tokens)
        outputs = model(tokens)
        draws = tf.random.stateless_normal((BATCH, TIME * 3), [0, 0], dtype=tf.float64, alg="philox")
        start = rowwise(tf.reshape(draws, x.shape) * valid[:, :, None])
        r = direction_by_hand(last, x, start, (valid / tf.reduce_sum(valid, 1, keepdims=True))[:, :, None])
        return ENTROPY(labels, outputs) + tf.reduce_mean(mean(divergence(tf.stop_gradient(last(x)), last(x + r))))

    expected = stepped(model, value)
    virtual_adversarial_training(compiled(model), "tokens", radius=RADIUS, where="output")
    same_step(model, lambda: model.train_on_batch(tokens, labels), expected)


def test_outputs_that_hold_logits():
    """A model with several outputs: logits= says which; without it, that is said."""
    x = keras.Input((WIDTH,))
    model = filled(keras.Model(x, [layers.Dense(CLASSES, name="a")(x), layers.Dense(1, name="b")(x)]))
    with pytest.raises(ValueError, match=r"outputs that are a list.*logits="):
        virtual_adversarial_objective(model, radius=RADIUS)(X)
    first = virtual_adversarial_objective(model, radius=RADIUS, logits=lambda outputs: outputs[0])(X)
    assert_close([first], [vat_by_hand(lambda x: model(x)[0], tf.constant(X))])


# Strengths.


def test_a_radius_is_set_between_steps_of_one_trace():
    model = dense()
    objective = adversarial_objective(model, radius=RADIUS, loss=ENTROPY)
    traces = []

    @tf.function
    def value(x, labels):
        traces.append(1)
        return objective(x, labels)

    first = value(X, LABELS)
    objective.radius = 2 * RADIUS
    second = value(X, LABELS)
    assert len(traces) == 1 and objective.radius == 2 * RADIUS
    for radius, found in ((RADIUS, first), (2 * RADIUS, second)):
        assert_close([found], [ENTROPY(LABELS, model(ascended(lambda x: ENTROPY(LABELS, model(x)), X, radius)))])


def test_a_callback_sets_the_radius_within_fit():
    model, twin = compiled(dense(), run_eagerly=False), dense()
    objective = adversarial_training(model, radius=tf.Variable(0.0, dtype=tf.float64))
    radii = iter([0.0, RADIUS])
    callback = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: model.training_objective.strengths["radius"].assign(next(radii))
    )
    model.fit(X, LABELS, batch_size=BATCH, epochs=2, verbose=0, callbacks=[callback])
    assert objective is model.training_objective
    _, weights = stepped(twin, lambda: ENTROPY(LABELS, twin(X)))
    twin.set_weights(weights)
    assert_close(model.get_weights(), fgm_by_hand(twin)[1])


def test_a_radius_by_a_schedule():
    """Of the number of steps that were taken; one of Keras's will do, in its float32."""
    model, twin = compiled(dense(), run_eagerly=False), dense()
    adversarial_training(model, radius=lambda number: RADIUS * number)
    model.fit(X, LABELS, batch_size=BATCH, epochs=2, verbose=0)
    _, weights = stepped(twin, lambda: ENTROPY(LABELS, twin(X)))
    twin.set_weights(weights)
    assert_close(model.get_weights(), fgm_by_hand(twin)[1])
    plain_training(model)
    adversarial_training(model, radius=keras.optimizers.schedules.PolynomialDecay(0.0, 1, RADIUS))
    model.fit(X, LABELS, batch_size=BATCH, verbose=0)


def test_what_was_left_out_cannot_be_set():
    objective = adversarial_training(compiled(dense()), radius=0)
    with pytest.raises(ValueError, match=r"passes were left out.*radius=tf.Variable"):
        objective.radius = 1.0
    objective = adversarial_objective(dense(), radius=lambda number: 0.5)
    with pytest.raises(TypeError, match="it follows what it was made with"):
        objective.radius = 1.0
    objective = adversarial_objective(dense(), radius=1.0)
    with pytest.raises(ValueError, match="radius: got -1"):
        objective.radius = -1.0


def test_starts_go_on_where_a_saved_count_stood():
    model = dense()
    first = virtual_adversarial_objective(model, radius=RADIUS)
    values = [float(first(X)) for _ in range(3)]
    second = virtual_adversarial_objective(model, radius=RADIUS)
    second.steps.assign(2)
    assert float(second(X)) == values[2] and len(set(values)) == 3


# State.


def stateful():
    keras.utils.set_random_seed(0)
    return filled(
        keras.Sequential(
            [
                keras.Input((WIDTH,)),
                layers.Dense(5, "tanh", name="hidden"),
                layers.BatchNormalization(),
                layers.Dropout(0.4, seed=1),
                layers.SpectralNormalization(layers.Dense(4, name="inner"), name="spectral"),
                layers.Dense(CLASSES),
            ]
        )
    )


OBJECTIVES = {
    "fgm": lambda m: adversarial_objective(m, radius=RADIUS, loss=ENTROPY),
    "pgd": lambda m: adversarial_objective(m, radius=RADIUS, steps=2, start="random", loss=ENTROPY),
    "freelb": lambda m: freelb_objective(m, radius=RADIUS, step=0.1, steps=2, loss=ENTROPY),
    "penalty": lambda m: gradient_penalty_objective(m, weight=0.5, loss=ENTROPY),
    "differences": lambda m: gradient_penalty_objective(m, weight=0.5, how="finite_difference", loss=ENTROPY),
    "forward": lambda m: gradient_penalty_objective(m, weight=0.5, how="forward_over_reverse", loss=ENTROPY),
    "vat": lambda m: virtual_adversarial_objective(m, radius=RADIUS, loss=ENTROPY),
}


def state(model):
    return [variable.numpy() for variable in model.non_trainable_variables]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_state_moves_once_as_by_the_clean_pass(name):
    """Statistics, seed generators, a power iteration; `stateless` moves none."""
    model, plain = stateful(), stateful()
    plain(X, training=True)
    before = state(model)
    objective = OBJECTIVES[name](model)
    objective(X, LABELS, stateless=True)
    assert all(map(np.array_equal, state(model), before))
    objective(X, LABELS)
    assert all(map(np.array_equal, state(model), state(plain)))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_sum_of_objectives_is_the_sum_of_their_values(name):
    model = stateful()
    one, two = OBJECTIVES[name](model), OBJECTIVES["penalty"](model)
    apart = one(X, LABELS, stateless=True), two(X, LABELS, stateless=True)
    together = one(X, LABELS, stateless=True) + two(X, LABELS)
    assert float(together) == float(apart[0] + apart[1])


# What fit has.


FITS = {
    "steps_per_execution": {"compile": {"steps_per_execution": 2, "run_eagerly": False}},
    "accumulation": {"optimizer": lambda: keras.optimizers.SGD(RATE, gradient_accumulation_steps=2)},
    "clipnorm": {"optimizer": lambda: keras.optimizers.SGD(RATE, clipnorm=0.01)},
    "ema": {"optimizer": lambda: keras.optimizers.SGD(RATE, use_ema=True, ema_momentum=0.5)},
    "loss scale": {"optimizer": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(RATE), 4.0)},
    "class_weight": {"fit": {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}}},
    "xla": {"compile": {"run_eagerly": False, "jit_compile": True}},
}


@pytest.mark.parametrize("name", FITS)
def test_fit_with(name):
    """The same as a plain fit of batches that are perturbed by hand before each step."""
    options = FITS[name]
    make = options.get("optimizer", lambda: keras.optimizers.SGD(RATE))
    model = compiled(dense(), optimizer=make(), **options.get("compile", {}))
    adversarial_training(model, radius=RADIUS)
    model.fit(X, LABELS, batch_size=3, epochs=2, shuffle=False, verbose=0, **options.get("fit", {}))
    twin = compiled(dense(), optimizer=make())
    for _ in range(2):
        for rows in (slice(0, 3), slice(3, 6)):
            there = ascended(lambda x: ENTROPY(LABELS[rows], twin(x)), X[rows])  # noqa: B023
            twin.train_on_batch(there, LABELS[rows], **options.get("fit", {}))
    if name != "ema":  # which fit writes over the weights at the end of an epoch
        assert_close(model.get_weights(), twin.get_weights(), 200)
    assert_close(model.optimizer.variables, twin.optimizer.variables, 200)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize(
    "train",
    [
        lambda m: adversarial_training(m, radius=RADIUS),
        lambda m: adversarial_training(m, radius=RADIUS, steps=2, start="random"),
        lambda m: gradient_penalty_training(m, weight=0.1),
        lambda m: virtual_adversarial_training(m, radius=RADIUS, xi=0.3),
        lambda m: freelb_training(m, radius=RADIUS, step=0.1, steps=2),
    ],
)
def test_mixed_precision_is_float32_but_for_its_digits(policy, train):
    keras.config.set_floatx("float32")
    logs = []
    for each in (policy, "float32"):
        keras.config.set_dtype_policy(each)
        model = compiled(dense(dtype="float32"), run_eagerly=False)
        train(model)
        logs.append(model.fit(X, LABELS, batch_size=BATCH, epochs=2, verbose=0).history["loss"])
    np.testing.assert_allclose(logs[0], logs[1], rtol=0.03)


@pytest.mark.parametrize("site", ["input", "output under a mask", "table"])
@pytest.mark.parametrize("half", ["mixed_bfloat16", "mixed_float16", "bfloat16", "float16"])
def test_directions_survive_half_precision(half, site, monkeypatch):
    """Confident samples among them: of each the direction is float64's, and none is lost."""
    found, direction, computed = [], Smoothness.direction, half.removeprefix("mixed_")

    def made(policy):
        keras.config.set_dtype_policy(policy)
        if site == "input":
            first = [keras.Input((WIDTH,)), layers.Dense(5, "tanh")]
        else:
            table = layers.Embedding(VOCABULARY, 3, mask_zero=True, name="tokens")
            first = [keras.Input((TIME,), dtype="int32"), table]
        model = keras.Sequential([*first, layers.Dense(CLASSES)])
        rng = np.random.default_rng(3)
        for weight in model.trainable_weights:
            values = rng.standard_normal(weight.shape) * np.linspace(1, 3, weight.shape[-1])
            weight.assign(keras.ops.cast(keras.ops.cast(values, computed), weight.dtype))
        return model

    def noted(*args):
        found.append(direction(*args))
        return found[-1]

    monkeypatch.setattr(Smoothness, "direction", noted)
    monkeypatch.setattr("impls.tensorflow.vectors._normal", lambda seed, number, shape: _as_floatx(shape))
    for floatx, policy in (("float64", "float64"), ("float32", half)):
        keras.config.set_floatx(floatx)
        model = made(policy)
        options = {} if site == "input" else {"where": "table" if site == "table" else "output"}
        x = TOKENS if site != "input" else tf.cast(tf.cast(X, computed), floatx)
        target = None if site == "input" else "tokens"
        objective = virtual_adversarial_objective(model, target, radius=RADIUS, **options)
        objective(x)
    wanted, got = (np.float64(each) for each in found)
    assert (wanted * got).sum(1).min() >= 0.99
    assert np.abs(np.linalg.norm(got, axis=1) - 1).max() < 1e-6


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("half", ["mixed_float16", "float16"])
def test_confident_samples_have_an_attack_in_half_precision(half, graph, monkeypatch):
    """Their gradients are below float16's smallest number, and one sample's overflow when all are scaled."""
    found, ascent = [], Batch.ascent
    monkeypatch.setattr(Batch, "ascent", lambda *args: found.append(ascent(*args)) or found[-1])
    rng = np.random.default_rng(0)
    kernels = [rng.standard_normal(shape) for shape in ((WIDTH, 16), (16, CLASSES))]
    x = rng.standard_normal((4, WIDTH)).astype("float16").astype("float64")
    wanted, got, overflowing = [], [], []
    for floatx, policy in (("float64", "float64"), ("float32", half)):
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
        for size, list_of in ((0.01, wanted if floatx == "float64" else got), (20.0, overflowing)):
            model = keras.Sequential([layers.Dense(16, "tanh"), layers.Dense(CLASSES)])
            model(x[:1])
            for weight, values in zip(model.trainable_weights, (kernels[0] / 4, 0, size * kernels[1], 0), strict=True):
                weight.assign(np.float16(np.broadcast_to(values, weight.shape)))
            margin = 10.0 if size < 1 else 0.0
            model.trainable_weights[-1].assign([margin] + [0.0] * (CLASSES - 1))
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype=floatx)
            objective = adversarial_objective(model, radius=RADIUS, loss=loss)
            evaluate = tf.function(lambda x, y: (objective(x, y), found.pop())[1]) if graph else None  # noqa: B023
            given = tf.cast(x, floatx), tf.zeros(4, "int32")
            list_of.append(np.float64(evaluate(*given) if graph else (objective(*given), found.pop())[1]))
    cosine = lambda a, b: (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)  # noqa: E731
    assert cosine(wanted[0], got[0]).min() > 0.99
    moves = np.linalg.norm(overflowing[0], axis=1) > 0.1
    assert moves.any() and cosine(overflowing[0][moves], overflowing[1][moves]).min() > 0.99


def _as_floatx(shape):
    """One start for every precision."""
    drawn = tf.random.stateless_normal(shape, [5, 0], dtype=tf.float32, alg="philox")
    return tf.cast(drawn, keras.config.floatx())


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


def test_a_dataset_with_callbacks_and_validation():
    model = compiled(dense(), run_eagerly=False, metrics=["accuracy"])
    adversarial_training(model, radius=RADIUS)
    data = tf.data.Dataset.from_tensor_slices((X, LABELS)).batch(4)
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=5)
    history = model.fit(data, validation_data=data, epochs=2, callbacks=[stop], verbose=0, shuffle=False).history
    assert history.keys() == {"loss", "accuracy", "val_loss", "val_accuracy"}
    plain_training(model)
    assert model.fit(data, verbose=0, shuffle=False).history["loss"][0] < history["loss"][0]


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
