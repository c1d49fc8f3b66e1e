"""The objective in loops of one's own: under a tape, in `compute_loss`, in `train_step`."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from impls.tensorflow.training import adversarial_objective, adversarial_training
from tests.quick import mostly_slow
from tests.training.tensorflow.by_hand import (
    CLASSES,
    ENTROPY,
    LABELS,
    RADIUS,
    RATE,
    WIDTH,
    X,
    ascended,
    assert_close,
    compiled,
    dense,
    fgm_by_hand,
    filled,
    same_step,
    stepped,
)

pytestmark = pytest.mark.usefixtures("double")


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


@pytest.mark.parametrize("loop", mostly_slow(LOOPS, ["traced"]))
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
