"""Keras: the gradient of Σ W̄ᵢⱼ·Aᵢⱼ in a spectrally normalised kernel W = diag(2, 1), at which σ = 2 and ∂σ/∂W = uuᵀ."""

import keras
import numpy as np
import tensorflow as tf

dense = keras.layers.Dense(2, use_bias=False)
layer = keras.layers.SpectralNormalization(dense, power_iterations=50)
layer.build((None, 2))
dense.kernel.assign([[2.0, 0.0], [0.0, 1.0]])
layer.vector_u.assign([[1.0, 0.0]])
with tf.GradientTape() as tape:
    total = tf.reduce_sum(layer(np.eye(2, dtype="float32"), training=True) * [[1.0, 2.0], [3.0, 4.0]])
print("gradient", tape.gradient(total, dense.kernel).numpy().tolist(), "expected [[-1.0, 1.0], [1.5, 2.0]]")
print("kernel after the call", dense.kernel.numpy().tolist(), "before it [[2.0, 0.0], [0.0, 1.0]]")
