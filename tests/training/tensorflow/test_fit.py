"""What `fit` has: accumulation, clipping, averages, weights of classes, data sets and callbacks."""

import keras
import pytest
import tensorflow as tf

from impls.tensorflow.training import adversarial_training, plain_training
from tests.quick import mostly_slow
from tests.training.tensorflow.by_hand import (
    CLASSES,
    ENTROPY,
    LABELS,
    RADIUS,
    RATE,
    TIME,
    TOKENS,
    VOCABULARY,
    X,
    ascended,
    assert_close,
    compiled,
    dense,
)

pytestmark = pytest.mark.usefixtures("double")


FITS = {
    "steps_per_execution": {"compile": {"steps_per_execution": 2, "run_eagerly": False}},
    "accumulation": {"optimizer": lambda: keras.optimizers.SGD(RATE, gradient_accumulation_steps=2)},
    "clipnorm": {"optimizer": lambda: keras.optimizers.SGD(RATE, clipnorm=0.01)},
    "ema": {"optimizer": lambda: keras.optimizers.SGD(RATE, use_ema=True, ema_momentum=0.5)},
    "loss scale": {"optimizer": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(RATE), 4.0)},
    "class_weight": {"fit": {"class_weight": {0: 1.0, 1: 2.0, 2: 0.5}}},
    "xla": {"compile": {"run_eagerly": False, "jit_compile": True}},
    "xla, accumulation, moments": {
        "compile": {"run_eagerly": False, "jit_compile": True},
        "optimizer": lambda: keras.optimizers.Adam(RATE, gradient_accumulation_steps=2, weight_decay=0.01),
    },
}


@pytest.mark.parametrize("name", mostly_slow(FITS, ["accumulation", "clipnorm", "class_weight"]))
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


def test_a_dataset_with_callbacks_and_validation():
    model = compiled(dense(), run_eagerly=False, metrics=["accuracy"])
    adversarial_training(model, radius=RADIUS)
    data = tf.data.Dataset.from_tensor_slices((X, LABELS)).batch(4)
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=5)
    history = model.fit(data, validation_data=data, epochs=2, callbacks=[stop], verbose=0, shuffle=False).history
    assert history.keys() == {"loss", "accuracy", "val_loss", "val_accuracy"}
    plain_training(model)
    assert model.fit(data, verbose=0, shuffle=False).history["loss"][0] < history["loss"][0]


def test_adam_squares_each_occurrence_of_a_token_by_itself():
    """Keras's, which the page says: where it adds occurrences up first, its row is to go."""
    once = tf.constant([[1.0], [3.0]], "float64"), tf.constant([1, 1])

    def moved(dense, pieces):
        table, optimizer = keras.Variable([[0.0], [0.0]], dtype="float64"), keras.optimizers.Adam(0.1)
        for values, places in (once, (once[0][:1], once[1][:1])):
            values, places = tf.concat([values / pieces] * pieces, 0), tf.concat([places] * pieces, 0)
            gradient = tf.IndexedSlices(values, places, tf.constant([2, 1]))
            optimizer.apply([tf.convert_to_tensor(gradient) if dense else gradient], [table])
        return float(table[1, 0])

    assert moved(True, 1) == pytest.approx(moved(True, 2), rel=1e-12)
    assert abs(moved(False, 1) - moved(True, 1)) > 0.01 and abs(moved(False, 2) - moved(False, 1)) > 0.01


def test_a_table_whose_radius_is_0_trains_bit_for_bit_as_without_under_adam():
    weights = []
    for radius in (None, 0.0, tf.Variable(0.0, dtype="float64")):
        keras.utils.set_random_seed(0)
        tokens = keras.layers.Embedding(VOCABULARY, 3, name="tokens")
        layers = [keras.Input((TIME,), dtype="int32"), tokens, keras.layers.Flatten(), keras.layers.Dense(CLASSES)]
        model = compiled(keras.Sequential(layers), optimizer=keras.optimizers.Adam(RATE))
        if radius is not None:
            adversarial_training(model, "tokens", radius=radius)
        model.fit(TOKENS, LABELS, batch_size=3, epochs=2, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for trained in weights[1:]:
        assert all((a == b).all() for a, b in zip(trained, weights[0], strict=True))
