import numpy as np
import tensorflow as tf

from impls.checks import checked
from impls.tensorflow.norms import l2_norm, unit


@checked
def hvp(loss, x, vector):  # reverse over reverse: TensorFlow's forward mode traces and runs slower
    with tf.GradientTape(watch_accessed_variables=False) as outer:
        outer.watch(x)
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(x)
            total = tf.reduce_sum(loss(x))  # rows of the batch do not mix
        gradient = inner.gradient(total, x, unconnected_gradients="zero")  # (B, *S)
    return outer.gradient(gradient, x, output_gradients=vector, unconnected_gradients="zero")


@checked
def laplacian(loss, x, *, how="hvp", probes=None):
    vectors = probes  # (K, B, *S)
    if probes is None:
        n = x[0].shape.num_elements()
        vectors = tf.broadcast_to(tf.reshape(tf.eye(n, dtype=x.dtype), (n, 1, *x.shape[1:])), (n, *x.shape))
    forms = _forward_forms(loss, x, vectors) if how == "forward" else tf.vectorized_map(_form(loss, x), vectors)
    return tf.reduce_sum(forms, 0) if probes is None else tf.reduce_mean(forms, 0)  # (B,)


def _form(loss, x):
    return lambda v: _dot(v, hvp(loss, x, v))  # vᵀHv, (B,)


def _forward_forms(loss, x, vectors):  # the same, forward over forward, (K, B)
    def form(x, v):
        with tf.autodiff.ForwardAccumulator(x, v) as outer:
            with tf.autodiff.ForwardAccumulator(x, v) as inner:
                values = loss(x)  # (B,)
            along = inner.jvp(values, unconnected_gradients="zero")
        return outer.jvp(along, unconnected_gradients="zero")

    @tf.function(autograph=False)  # one operation to tapes outside: their gradient of nested accumulators is wrong
    def forms(x, vectors):
        return tf.vectorized_map(lambda v: form(x, v), vectors)

    return forms(x, vectors)


@checked
def top_eigenpair(loss, x, start, *, steps, how="power"):
    if how == "power":
        vector = unit(start)
        for _ in range(steps):
            vector = unit(hvp(loss, x, vector))
    else:
        vector = _lanczos(loss, x, start, steps)
    vector = tf.stop_gradient(vector)
    return _form(loss, x)(vector), vector  # (B,), (B, *S)


def _lanczos(loss, x, start, steps):
    basis, products = [unit(start)], []
    for _ in range(steps):
        products.append(hvp(loss, x, basis[-1]))
        basis.append(_next(basis, products[-1]))
    products.append(hvp(loss, x, basis[-1]))
    projected = tf.stack([tf.stack([_dot(q, p) for p in products]) for q in basis])  # QᵀHQ: (K, K, B)
    values, vectors = tf.linalg.eigh(tf.transpose(projected + tf.transpose(projected, (1, 0, 2)), (2, 0, 1)) / 2)
    coordinates = tf.gather(vectors, tf.argmax(tf.abs(values), 1), axis=2, batch_dims=1)  # (B, K)
    coordinates = tf.where(coordinates[:, :1] < 0, -coordinates, coordinates)  # turned towards the start
    return unit(tf.einsum("bk,kb...->b...", coordinates, tf.stack(basis)))


def _next(basis, product):  # its part orthogonal to the basis; twice, since once leaves rounding errors of size one
    rest = product
    for _ in range(2):
        rest = rest - sum(q * tf.reshape(_dot(q, rest), (-1, *[1] * (q.shape.rank - 1))) for q in basis)
    exhausted = l2_norm(rest) <= 64 * np.finfo(rest.dtype.as_numpy_dtype).eps * l2_norm(product)
    exhausted = tf.reshape(exhausted, (-1, *[1] * (rest.shape.rank - 1)))
    return tf.where(exhausted, tf.zeros_like(rest), unit(rest))


def _dot(a, b):
    return tf.reduce_sum(tf.reshape(a * b, (a.shape[0], -1)), 1)  # (B,)
