"""TensorFlow: a compiled Keras model's own train function; xla means compile(jit_compile=True)."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bench.costs.loops import RADIUS, TINY, WEIGHT, Loop
from equivalence.cases import Case
from impls.tensorflow.training import adversarial_training, gradient_penalty_training


def network(case: Case) -> keras.Model:
    """The case's tanh network."""
    layers: list[Any] = [keras.Input(case.x.shape[1:]), keras.layers.Flatten()]  # type: ignore[union-attr]
    last = len(case.params) // 2 - 1
    for number in range(last + 1):
        units = len(case.params[f"{number}.bias"])
        layers.append(keras.layers.Dense(units, activation=None if number == last else "tanh", name=str(number)))
    model = keras.Sequential(layers)
    for number in range(last + 1):
        model.get_layer(str(number)).set_weights([case.params[f"{number}.weight"].T, case.params[f"{number}.bias"]])
    return model


def build(case: Case, mode: str, name: str, device: str) -> Loop:
    with tf.device("GPU:0" if device == "cuda" else "CPU:0"):
        model = network(case)
        batch = tf.constant(case.x, tf.float32), tf.constant(case.labels)
    model.compile(
        optimizer=keras.optimizers.SGD(1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=mode == "keras xla",
    )
    STEPS[name](model)
    model.make_train_function()
    run = model.train_function
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())

    def parameters() -> dict[str, np.ndarray]:
        found = {}
        for number in range(len(case.params) // 2):
            weight, bias = model.get_layer(str(number)).get_weights()
            found |= {f"{number}.weight": weight.T, f"{number}.bias": bias}
        return found

    return Loop(lambda: run(batches)["loss"], parameters, model.optimizer.learning_rate.assign)


def plain(model: keras.Model) -> None:
    """Keras's own step."""


def snippet(model: keras.Model) -> None:
    """The usual snippet: every gradient for the attack, one norm for the batch, then Keras's own step."""
    usual = model.train_step

    def train_step(data: Any) -> Any:
        x, labels = data
        with tf.GradientTape() as tape:
            tape.watch(x)
            objective = model.compute_loss(x, labels, model(x, training=True))
        gradient, *_ = tape.gradient(objective, [x, *model.trainable_variables])
        return usual((x + RADIUS * gradient / tf.norm(gradient), labels))

    model.train_step = train_step


def adversarial(model: keras.Model) -> None:
    """What `adversarial_training` does, by hand: one norm a sample, and no gradient of the parameters in the attack."""
    usual = model.train_step
    losses = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")

    def train_step(data: Any) -> Any:
        x, labels = data
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            total = losses(labels, model(x, training=True))
        gradient = tape.gradient(total, x)
        norms = tf.sqrt(tf.reduce_sum(tf.square(gradient), axis=range(1, len(x.shape)), keepdims=True))
        return usual((x + RADIUS * gradient / tf.maximum(norms, TINY), labels))

    model.train_step = train_step


def penalty(model: keras.Model) -> None:
    """What `gradient_penalty_training` does, by hand."""
    losses = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")

    def train_step(data: Any) -> Any:
        x, labels = data
        with tf.GradientTape() as outer:
            with tf.GradientTape(watch_accessed_variables=False) as inner:
                inner.watch(x)
                found = losses(labels, model(x, training=True))
            gradient = inner.gradient(found, x)
            squares = tf.reduce_sum(tf.square(gradient), axis=range(1, len(x.shape)))
            objective = tf.reduce_mean(found + WEIGHT * squares)
        weights = model.trainable_variables
        model.optimizer.apply_gradients(zip(outer.gradient(objective, weights), weights, strict=True))
        return {"loss": objective}

    model.train_step = train_step


STEPS: dict[str, Any] = {
    "plain": plain,
    "adversarial_training": lambda model: adversarial_training(model, radius=RADIUS),
    "adversarial by hand": adversarial,
    "adversarial snippet": snippet,
    "gradient_penalty_training": lambda model: gradient_penalty_training(model, weight=WEIGHT),
    "gradient penalty by hand": penalty,
}
