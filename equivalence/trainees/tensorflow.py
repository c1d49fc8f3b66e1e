"""The network as Keras has it: a model that is compiled and trained batch by batch."""

from functools import partial

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.src.random.seed_generator import global_seed_generator
from tensorflow.python.eager import context

from equivalence import trainees
from equivalence.trainees import DROPPED, HIDDEN, MOMENTUM, RATE, STATISTICS_RATE, Slot
from impls.tensorflow.training import plain_training

CLASSES = 2


def seeds():
    """What operations without a seed of their own are seeded from, once there is a global seed."""
    return getattr(context.context(), "_rng", None)


def keras_seeds():
    """The state of Keras's own generator."""
    return global_seed_generator().state


GENERATORS = {
    "random/tensorflow": Slot(
        lambda: seeds().getstate()[1] if seeds() else [],
        lambda value: seeds().setstate((3, tuple(map(int, value)), None)),
    ),
    "random/keras": Slot(lambda: keras_seeds().numpy(), lambda value: keras_seeds().assign(value)),
}


class Network(keras.Model):
    def __init__(self, vocabulary, width, length, reached):
        super().__init__(name="network")
        self.tokens = layers.Embedding(vocabulary, width, name="tokens")
        self.positions = layers.Embedding(length, width, name="positions")
        self.norm = layers.BatchNormalization(momentum=1 - STATISTICS_RATE, name="norm")
        self.hidden = layers.Dense(HIDDEN, "tanh", name="hidden")
        self.frozen = layers.BatchNormalization(trainable=False, name="frozen")
        self.drop = layers.Dropout(DROPPED, name="drop", seed=0)
        self.logits = layers.Dense(CLASSES, name="logits")
        self.reached = reached

    def call(self, tokens, training=False):  # (B, T) -> (B, C)
        x = keras.ops.tanh(self.tokens(tokens) + self.positions(np.arange(tokens.shape[1])))
        x = self.norm(keras.ops.mean(x, axis=1), training=training)
        x = self.drop(self.frozen(self.hidden(x), training=training), training=training)
        self.reached()
        return self.logits(x)


def called(function, *arrays):
    """Call a function of arrays."""
    return function(*arrays)


class Trainee(trainees.Trainee):
    framework = "tensorflow"

    def build(self, vocabulary, width):
        keras.utils.set_random_seed(0)
        self.model = Network(vocabulary, width, self.tokens.shape[1], self.reached)
        self.model(self.tokens)
        self.model.compile(
            keras.optimizers.SGD(RATE, MOMENTUM, name="sgd"),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            run_eagerly=True,  # a trace costs more than all the steps of a claim
        )
        self.model.optimizer.build(self.model.trainable_variables)
        self.trained = {name_of(variable): variable for variable in self.model.trainable_weights}
        self.kept = {name_of(variable): variable for variable in self.model.non_trainable_weights}

    def slots(self):
        found = dict(GENERATORS)
        found |= {f"parameters/{name}": holding(variable) for name, variable in self.trained.items()}
        found["random/dropout"] = holding(self.model.drop.seed_generator.state)
        found |= {f"statistics/{name}": holding(variable) for name, variable in self.kept.items()}
        for variable in self.model.optimizer.variables:
            found[f"optimiser/{variable.path}"] = holding(variable)
        for layer in self.model.layers:
            found[f"flags/{layer.name}.trainable"] = Slot(
                partial(getattr, layer, "trainable"),
                lambda value, layer=layer: setattr(layer, "trainable", bool(value)),
            )
            found[f"hooks/{layer.name}"] = Slot(lambda layer=layer: "call" in vars(layer))
        return found

    def backward(self, training=True):
        with tf.GradientTape() as tape:
            logits = self.model(self.tokens, training=training)
            value = self.model.compute_loss(x=self.tokens, y=self.labels, y_pred=logits)
        gradients = tape.gradient(value, list(self.trained.values()))
        found = {
            f"parameters/{name}": tf.convert_to_tensor(gradient).numpy()
            for name, gradient in zip(self.trained, gradients, strict=True)
        }
        return float(value), found

    def apply(self, gradients):
        given = [(tf.constant(gradients[f"parameters/{name}"]), variable) for name, variable in self.trained.items()]
        self.model.optimizer.apply_gradients(given)

    def plain(self):
        plain_training(self.model)
        return self.fit()

    def take(self, method, options):
        plain_training(self.model)
        method(self.model, "tokens", where="table", **options)
        return self.fit()

    def fit(self):
        """One step on the batch; the logged loss is a mean over steps unless it begins anew."""
        self.model.reset_metrics()
        return float(self.model.train_on_batch(self.tokens, self.labels))

    def array(self, value):
        return tf.constant(value, tf.float32)


def name_of(variable):
    """The path within the model; "tokens" where it is an embedding's."""
    return variable.path.removeprefix("network/").removesuffix("/embeddings").replace("/", ".")


def holding(variable):
    return Slot(variable.numpy, variable.assign)
