"""A gate whose gradient is stopped, in a layer of the user's own, and batch statistics."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


class Gate(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.a, self.b = layers.Dense(12), layers.Dense(12)

    def call(self, x):
        gate = tf.stop_gradient(tf.sigmoid(self.a(x)))
        return gate * tf.tanh(self.b(x))


keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        layers.Input((6,)),
        layers.Dense(12),
        layers.BatchNormalization(name="statistics"),
        Gate(name="gate"),
        layers.Dense(3),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
rng = np.random.default_rng(0)
batch = rng.normal(size=(5, 6)).astype("float32"), np.array([0, 2, 1, 1, 0])
