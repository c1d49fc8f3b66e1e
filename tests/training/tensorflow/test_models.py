"""Models as Keras has them: compiled, built, nested, with metrics and several outputs."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from impls.tensorflow.training import adversarial_training, gradient_penalty_training, plain_training
from tests.training.tensorflow.stateful import (
    BATCH,
    CLASSES,
    LABELS,
    TIME,
    TOKENS,
    VOCABULARY,
    WIDTH,
    X,
    compiled,
    fingerprint,
    nested,
    network,
)

pytestmark = pytest.mark.usefixtures("double")


def test_metrics_are_of_the_clean_predictions_and_the_loss_is_the_objective():
    models = [compiled(network(X, plain=True), metrics=["accuracy"]) for _ in range(2)]
    adversarial_training(models[1], radius=9.0)
    logs = [model.train_on_batch(X, LABELS, return_dict=True) for model in models]
    assert logs[1]["accuracy"] == logs[0]["accuracy"]
    assert logs[1]["loss"] > 1.2 * logs[0]["loss"]


@pytest.mark.slow
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
