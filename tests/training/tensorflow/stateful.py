"""Small Keras models with all that keeps state or draws, what they compute, and hashes of all that a step may touch."""

import hashlib

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from impls.tensorflow.adversarial import adversarial_loss
from impls.tensorflow.losses import cross_entropy, kl_divergence
from impls.tensorflow.norms import unit
from impls.tensorflow.training import adversarial_training, gradient_penalty_training, virtual_adversarial_training
from impls.tensorflow.virtual_adversarial import vat_loss

BATCH, WIDTH, CLASSES, VOCABULARY, TIME, RATE = 5, 4, 3, 7, 6, 0.1


RNG = np.random.default_rng(0)


X, LABELS = RNG.standard_normal((BATCH, WIDTH)), RNG.integers(0, CLASSES, BATCH)


TOKENS = RNG.integers(0, VOCABULARY - 1, (BATCH, TIME)).astype(np.int32)  # tokens repeat; the last one never occurs


METHODS = {
    "adversarial": (adversarial_training, "radius", {}),
    "mixed": (adversarial_training, "radius", {"clean_weight": 0.25}),
    "penalty": (gradient_penalty_training, "weight", {}),
    "virtual": (virtual_adversarial_training, "weight", {"radius": 0.5, "entropy_weight": 0.5}),
}


PLACES = {  # data, target, where
    "input": (X, None, "table"),
    "output": (X, "first", "output"),
    "table": (TOKENS, "tokens", "table"),
    "output of the embedding": (TOKENS, "tokens", "output"),
}


def network(data, *, plain=False):
    """A classifier of X or of TOKENS, the same each time, with all that keeps state or draws unless plain."""
    of_tokens = data is TOKENS
    stateful = [] if plain else [layers.BatchNormalization(), layers.Dropout(0.4, seed=1)]
    first = [layers.Embedding(VOCABULARY, WIDTH, name="tokens"), layers.GlobalAveragePooling1D()]
    model = keras.Sequential(
        [
            keras.Input(data.shape[1:], dtype=data.dtype.name),
            *(first if of_tokens else [layers.Dense(WIDTH, name="first")]),
            *stateful,
            layers.Activation("tanh"),
            layers.Dense(CLASSES, kernel_regularizer=None if plain else "l2"),
        ]
    )
    rng = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign(rng.standard_normal(weight.shape))
    return model


def compiled(model, optimizer=None, loss=None, **options):
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.SGD(RATE), loss, **({"run_eagerly": True} | options))
    return model


def logits(weights, x):
    """What `network(…, plain=True)` computes after its first layer, by itself."""
    *_, kernel, bias = weights
    return tf.tanh(x) @ kernel + bias


def of_input(weights, x):
    return logits(weights, x @ weights[0] + weights[1])


def of_embedded(weights, embedded):
    return logits(weights, tf.reduce_mean(embedded, 1))


def of_table(weights, table):
    return of_embedded(weights, tf.gather(table, TOKENS))


def start_of(shape, seed=0):
    return tf.random.stateless_normal(shape, [seed, 0], dtype=tf.float64, alg="philox")


class Point:
    """What is perturbed, as a function of the weights, and the outputs as a function of it."""

    def __init__(self, place, weights):
        self.weights = weights
        self.f, self.x = {
            "input": lambda: (of_input, tf.constant(X)),
            "output": lambda: (logits, X @ weights[0] + weights[1]),
            "table": lambda: (of_table, weights[0]),
            "output of the embedding": lambda: (of_embedded, tf.gather(weights[0], TOKENS)),
        }[place]()

    def outputs(self, x):
        return self.f(self.weights, x)

    def loss(self, x):
        return cross_entropy(self.outputs(x), tf.constant(LABELS))


def mixed(point, r, clean_weight=0.0):
    return adversarial_loss(point.loss, point.x, r, clean_weight=clean_weight)


def table_penalty(point):
    with tf.GradientTape() as tape:
        tape.watch(point.x)
        mean = tf.reduce_mean(point.loss(point.x))
    return tf.reduce_sum(tf.convert_to_tensor(tape.gradient(mean, point.x)) ** 2)


def smoothness(point, start, how="fisher", **options):
    """`vat_loss` as `virtual_adversarial_training` has it."""
    return vat_loss(point.outputs, point.x, start, radius=0.3, how=how, **options)


def table_vat(point):
    """One power step on one vector, the table: Jᵀ(diag p - ppᵀ)Jd."""
    x, direction = tf.identity(point.x), unit(start_of(point.x.shape), scope="tensor")
    with tf.autodiff.ForwardAccumulator(x, direction) as forward, tf.GradientTape() as tape:
        tape.watch(x)
        clean = point.outputs(x)
        change = tf.stop_gradient(forward.jvp(clean))
        p = tf.stop_gradient(tf.nn.softmax(clean))
        total = tf.reduce_sum(clean * (p * (change - tf.reduce_sum(p * change, 1, keepdims=True))))
    direction = tf.stop_gradient(unit(tf.convert_to_tensor(tape.gradient(total, x)), scope="tensor"))
    return kl_divergence(tf.stop_gradient(clean), point.outputs(point.x + 0.3 * direction))


def assert_close(found, expected):
    for a, b in zip(found, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert np.abs(a - b).max() <= 50 * np.finfo(b.dtype).eps * max(1, np.abs(b).max())


def fingerprint(model):
    """Of everything that training moves."""
    every = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return [hashlib.sha256(variable.numpy().tobytes()).hexdigest() for variable in every]


def nested():
    """Two tables of one name, in two encoders."""

    def encoder(name):
        return keras.Sequential(
            [
                keras.Input((TIME,), dtype="int32"),
                layers.Embedding(VOCABULARY, WIDTH, name="tokens"),
                layers.GlobalAveragePooling1D(),
            ],
            name=name,
        )

    x = keras.Input((TIME,), dtype="int32")
    return keras.Model(x, layers.Dense(CLASSES, name="head")(encoder("left")(x) + encoder("right")(x)))
