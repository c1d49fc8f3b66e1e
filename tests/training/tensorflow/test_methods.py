"""PGD, FreeLB, penalties in each way and virtual adversarial training are those of the contract."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from impls.tensorflow.training import (
    adversarial_training,
    freelb_training,
    gradient_penalty_training,
    virtual_adversarial_objective,
    virtual_adversarial_training,
)
from tests.quick import mostly_slow
from tests.training.tensorflow.by_hand import (
    BATCH,
    CLASSES,
    ENTROPY,
    LABELS,
    RADIUS,
    RATE,
    RNG,
    TIME,
    TOKENS,
    VOCABULARY,
    WIDTH,
    X,
    ascended,
    assert_close,
    compiled,
    dense,
    filled,
    rowwise,
    same_step,
    stepped,
)

pytestmark = pytest.mark.usefixtures("double")


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


@pytest.mark.parametrize("norm", mostly_slow(["l2_squared", "l2", "l1"], ["l2"]))
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
