"""In half precision steps and directions are those of full precision."""

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from impls.tensorflow.smoothness import Smoothness
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
