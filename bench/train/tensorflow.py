"""A run in TensorFlow: a keras.Model, Keras's optimisers, and a line of `training.py` where there is one."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import impls
from bench.train.regimes import MOMENTUM, Regime
from equivalence.cases import Case
from equivalence.measure import FULL, mixing
from equivalence.problem import Problem
from impls.tensorflow import models, training

OPTIMIZERS = {"adam": keras.optimizers.Adam, "momentum": partial(keras.optimizers.SGD, momentum=MOMENTUM)}
EMBEDDING = "embedding"


class Network(keras.Model):
    """A model of `impls.tensorflow.models`, its parameters under their names, an embedding's table in its layer."""

    def __init__(self, start: Case):
        super().__init__()
        self.function = partial(getattr(models, start.model), **start.options)
        table = None if start.tokens is None else str(start.table)
        self.named = {}
        for name, value in start.params.items():
            if name == table:
                self.embedding = keras.layers.Embedding(*value.shape, name=EMBEDDING)
                self.embedding.build(None)
                self.named[name] = self.embedding.embeddings
            else:
                self.named[name] = self.add_weight(shape=value.shape, name=name.replace(".", "_"))
            self.named[name].assign(value)
        self.table = table

    def call(self, inputs: Any) -> Any:
        x, *masks = inputs if isinstance(inputs, list | tuple) else [inputs]
        if self.table:
            x = self.embedding(x)
        logits = self.function({name: tf.convert_to_tensor(value) for name, value in self.named.items()}, x, *masks)
        return tf.cast(logits, keras.config.floatx())  # of mixed precision, too: a loss is computed in float32


class Trainer:
    """Trains a model with a regime, a batch at a time; batches are NumPy's."""

    def __init__(
        self, start: Case, regime: Regime, strength: float, *, optimizer: str, rate: float, dtype: str, device: str
    ):
        self.bridge = impls.load("tensorflow")
        keras.config.set_floatx(dtype if dtype in FULL else "float32")
        # Keras derives it from floatx once, at the first layer of the process.
        keras.config.set_dtype_policy(dtype if dtype in FULL else f"mixed_{dtype}")
        methods = SimpleNamespace(
            **vars(impls.methods("tensorflow")), mean=tf.reduce_mean
        )  # flooding takes the batch's mean
        self.problem = Problem(start, self.bridge, methods, mixing(dtype), device)
        self.model = Network(start)
        self.optimizer = OPTIMIZERS[optimizer](rate)
        self.train = self.wrapped(regime, strength) if regime.wrapper else self.functional(regime, strength)
        self.predict = tf.function(self.model)

    def wrapped(self, regime: Regime, strength: float) -> Any:
        wrapper = regime.wrapper
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(optimizer=self.optimizer, loss=loss)
        target = EMBEDDING if self.model.table else None
        where = "table" if wrapper.where == "table" else "output"
        options = {**wrapper.options, wrapper.option: strength, "where": where}
        getattr(training, wrapper.function)(self.model, target, **options)

        def train(data: Any, unlabelled: Any, extra: Any) -> Any:
            return self.model.train_on_batch(inputs(data), data["labels"])

        return train

    def functional(self, regime: Regime, strength: float) -> Any:
        def objective(params: Any, data: Any, unlabelled: Any, extra: Any) -> Any:
            labelled, other = (self.problem.at(params, each, extra) for each in (data, unlabelled))
            return regime.objective(self.problem.methods, labelled, other, strength)

        differentiated = self.bridge.value_and_grad(objective)
        self.optimizer.build(self.model.trainable_variables)

        @tf.function
        def train(data: Any, unlabelled: Any, extra: Any) -> Any:
            params = {name: tf.convert_to_tensor(value) for name, value in self.model.named.items()}
            values, gradients = differentiated(params, data, unlabelled, extra)
            self.optimizer.apply_gradients([(gradients[name], value) for name, value in self.model.named.items()])
            return tf.reduce_mean(values)

        return train

    def step(self, data: dict[str, Any], unlabelled: dict[str, Any], extra: dict[str, Any]) -> float:
        """One step; the objective before it."""
        return float(self.train(*(self.arrays(each) for each in (data, unlabelled, extra))))

    def arrays(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        return {name: self.problem.array(array) for name, array in batch.items()}

    def logits(self, data: dict[str, np.ndarray]) -> np.ndarray:
        return self.bridge.to_numpy(self.predict(inputs(self.arrays(data))))

    def parameters(self) -> dict[str, Any]:
        """The parameters as the framework has them."""
        return {name: tf.convert_to_tensor(value) for name, value in self.model.named.items()}

    def variables(self) -> list[Any]:
        """All that steps change: variables of model, seed generators, optimiser and metrics, in an order that stays."""
        self.optimizer.build(self.model.trainable_variables)
        metrics = [value for metric in self.model.metrics for value in metric.variables]
        return [*self.model.variables, *self.optimizer.variables, *metrics]

    def state(self) -> dict[str, np.ndarray]:
        """All that the next steps depend on, to be kept."""
        return {f"variable {number}": value.numpy() for number, value in enumerate(self.variables())}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on where the trainer was whose `state` this is."""
        for number, value in enumerate(self.variables()):
            value.assign(arrays[f"variable {number}"])


def inputs(data: dict[str, Any]) -> Any:
    found = [data[name] for name in ("x", "tokens", "mask") if name in data]
    return found[0] if len(found) == 1 else found
