"""In half precision steps and directions are those of full precision."""

import functools
import itertools

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
    freelb_training,
    gradient_penalty_training,
    virtual_adversarial_objective,
    virtual_adversarial_training,
)
from tests.quick import mostly_slow
from tests.training.tensorflow.by_hand import (
    BATCH,
    CLASSES,
    LABELS,
    RADIUS,
    TIME,
    TOKENS,
    VOCABULARY,
    WIDTH,
    X,
    compiled,
    dense,
)

pytestmark = pytest.mark.usefixtures("double")


POLICIES = ("mixed_float16", "mixed_bfloat16")
TRAININGS = {
    "fgm": lambda m: adversarial_training(m, radius=RADIUS),
    "pgd": lambda m: adversarial_training(m, radius=RADIUS, steps=2, start="random"),
    "penalty": lambda m: gradient_penalty_training(m, weight=0.1),
    "vat": lambda m: virtual_adversarial_training(m, radius=RADIUS, xi=0.3),
    "freelb": lambda m: freelb_training(m, radius=RADIUS, step=0.1, steps=2),
}


@functools.cache
def losses(training, policy):
    """Of two epochs, under a policy."""
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy(policy)
    model = compiled(dense(dtype="float32"), run_eagerly=False)
    TRAININGS[training](model)
    return model.fit(X, LABELS, batch_size=BATCH, epochs=2, verbose=0).history["loss"]


@pytest.mark.parametrize(
    ("training", "policy"),
    mostly_slow(itertools.product(TRAININGS, POLICIES), [("fgm", "mixed_float16"), ("vat", "mixed_bfloat16")]),
)
def test_mixed_precision_is_float32_but_for_its_digits(training, policy):
    np.testing.assert_allclose(losses(training, policy), losses(training, "float32"), rtol=0.03)


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


def _as_floatx(shape):
    """One start for every precision."""
    drawn = tf.random.stateless_normal(shape, [5, 0], dtype=tf.float32, alg="philox")
    return tf.cast(drawn, keras.config.floatx())


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
        for size, list_of in ((0.001, wanted if floatx == "float64" else got), (20.0, overflowing)):
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


def test_the_step_of_a_difference_is_that_of_what_layers_compute_in():
    """A step by float32 vanishes in bfloat16, though the last layer be in float32, as Keras recommends."""
    keras.config.set_floatx("float32")
    half, whole = {"dtype": "mixed_bfloat16"}, {"dtype": "float32"}
    model = keras.Sequential(
        [
            keras.Input((WIDTH,)),
            layers.Dense(5, "tanh", **half),
            layers.Dense(CLASSES, **half),
            layers.Identity(**whole),
        ]
    )
    rng = np.random.default_rng(3)
    for weight in model.trainable_weights:
        weight.assign(rng.standard_normal(weight.shape))
    x = tf.constant(X, tf.float32)
    exact, found = (
        float(virtual_adversarial_objective(model, radius=RADIUS, how=how)(x))
        for how in ("fisher", "finite_difference")
    )
    assert found > 0.7 * exact  # a step of which nothing is left has a random direction, or none
