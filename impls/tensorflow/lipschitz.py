import math

import tensorflow as tf

from impls.checks import checked
from impls.tensorflow.norms import unit


@checked
def spectral_norm(weight, u, *, steps=1):
    matrix = tf.reshape(weight, (tf.shape(weight)[0], -1))  # (O, n)
    for _ in range(steps):
        v = unit(tf.linalg.matvec(matrix, u, transpose_a=True)[None])[0]  # (n,)
        u = unit(tf.linalg.matvec(matrix, v)[None])[0]  # (O,)
    u, v = tf.stop_gradient(u), tf.stop_gradient(v)  # ∂σ/∂W = uvᵀ
    return tf.tensordot(u, tf.linalg.matvec(matrix, v), 1), u


@checked
def lipschitz_bound(weights, us, *, steps=1):
    bound = 1.0
    for weight, u in zip(weights, us, strict=True):
        reads = math.prod(weight.shape[2:])  # of each input by a kernel
        bound = bound * spectral_norm(weight, u, steps=steps)[0] * math.sqrt(reads)
    return bound
