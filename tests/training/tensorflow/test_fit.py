"""What `fit` has: accumulation, clipping, averages, weights of classes, data sets and callbacks."""

import keras
import pytest
import tensorflow as tf

from impls.tensorflow.training import adversarial_training, plain_training
from tests.training.tensorflow.by_hand import ENTROPY, LABELS, RADIUS, RATE, X, ascended, assert_close, compiled, dense

pytestmark = pytest.mark.usefixtures("double")


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


def test_a_dataset_with_callbacks_and_validation():
    model = compiled(dense(), run_eagerly=False, metrics=["accuracy"])
    adversarial_training(model, radius=RADIUS)
    data = tf.data.Dataset.from_tensor_slices((X, LABELS)).batch(4)
    stop = keras.callbacks.EarlyStopping(monitor="val_loss", patience=5)
    history = model.fit(data, validation_data=data, epochs=2, callbacks=[stop], verbose=0, shuffle=False).history
    assert history.keys() == {"loss", "accuracy", "val_loss", "val_accuracy"}
    plain_training(model)
    assert model.fit(data, verbose=0, shuffle=False).history["loss"][0] < history["loss"][0]
