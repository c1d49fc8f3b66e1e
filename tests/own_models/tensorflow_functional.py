"""A functional Keras model on tokens with LayerNormalization and attention, compiled as its users compile it."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
tokens = layers.Input((8,), dtype="int32", name="tokens")
x = layers.Embedding(40, 12, name="embedding")(tokens)
x = layers.LayerNormalization(name="norm")(x + layers.MultiHeadAttention(2, 6, name="attention")(x, x))
x = layers.Dense(16, activation="gelu", name="hidden")(x)
x = layers.GlobalAveragePooling1D(name="mean")(x)
model = keras.Model(tokens, layers.Dense(3, name="logits")(layers.Dropout(0.1, name="drop")(x)))
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
rng = np.random.default_rng(0)
batch = rng.integers(40, size=(5, 8)), np.array([0, 2, 1, 1, 0])
