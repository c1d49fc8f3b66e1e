"""The objective as a value: strengths set and scheduled, calls counted, sums, statistics moved once."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from impls.tensorflow.training import (
    adversarial_objective,
    adversarial_training,
    freelb_objective,
    gradient_penalty_objective,
    plain_training,
    virtual_adversarial_objective,
)
from tests.quick import mostly_slow
from tests.training.tensorflow.by_hand import (
    BATCH,
    CLASSES,
    ENTROPY,
    LABELS,
    RADIUS,
    WIDTH,
    X,
    ascended,
    assert_close,
    compiled,
    dense,
    fgm_by_hand,
    filled,
    stepped,
)

pytestmark = pytest.mark.usefixtures("double")


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


@pytest.mark.parametrize("name", mostly_slow(OBJECTIVES, ["fgm", "forward", "vat"]))
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


@pytest.mark.parametrize("name", mostly_slow(OBJECTIVES, ["pgd", "penalty", "vat"]))
def test_a_sum_of_objectives_is_the_sum_of_their_values(name):
    model = stateful()
    one, two = OBJECTIVES[name](model), OBJECTIVES["penalty"](model)
    apart = one(X, LABELS, stateless=True), two(X, LABELS, stateless=True)
    together = one(X, LABELS, stateless=True) + two(X, LABELS)
    assert float(together) == float(apart[0] + apart[1])
