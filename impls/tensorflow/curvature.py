import numpy as np
import tensorflow as tf

from impls.checks import checked
from impls.tensorflow.formulas import exact_derivatives
from impls.tensorflow.norms import _wide, l2_norm, unit


@checked
@exact_derivatives()
def hvp(loss, x, vector):
    return _hessian(loss, x)[0](vector)


def _hessian(loss, x):  # reverse over reverse: TensorFlow's forward mode traces and runs slower
    x = tf.identity(x)  # a tape watches a name: what the loss itself holds of x has another
    with tf.GradientTape(watch_accessed_variables=False, persistent=True) as outer:
        outer.watch(x)
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(x)
            values = loss(x)
        gradient = inner.gradient(values, x, unconnected_gradients="zero")  # rows of the batch do not mix: (B, *S)

    def product(vector):
        return outer.gradient(gradient, x, output_gradients=vector, unconnected_gradients="zero")

    return product, values  # v -> Hv (B, *S), (B,)


@checked
@exact_derivatives()
def laplacian(loss, x, *, how="hvp", probes=None, with_loss=False):
    vectors = probes  # (K, B, *S)
    if probes is None:
        n = _numbers(x)
        units = tf.reshape(tf.eye(n, dtype=x.dtype), (n, 1, *x.shape[1:]))
        vectors = tf.broadcast_to(units, tf.concat([[n], tf.shape(x)], 0))
    if how == "forward":
        values, forms = loss(x) if with_loss else None, _forward_forms(loss, x, vectors)
    else:
        product, values = _hessian(loss, x)
        forms = tf.stack([_dot(v, product(v)) for v in tf.unstack(vectors)])  # vᵀHv, (K, B)
    found = tf.reduce_sum(forms, 0) if probes is None else tf.reduce_mean(forms, 0)  # (B,)
    return (found, values) if with_loss else found


def _numbers(x):  # of a sample
    n = x.shape[1:].num_elements()
    if n is None:
        raise ValueError(f"x: got shape {x.shape} while traced, expected a known sample shape, or probes")
    return n


def _forward_forms(loss, x, vectors):  # the same, forward over forward
    def slope(x, v):
        with tf.autodiff.ForwardAccumulator(x, v) as accumulator:
            values = loss(x)  # (B,)
        return accumulator.jvp(values, unconnected_gradients="zero")

    if not x.shape.is_fully_defined():  # accumulators in one another fail at the tf.shape of what is unknown
        slope = tf.function(slope, autograph=False)

    @tf.function(autograph=False)  # one operation to tapes outside: their gradient of nested accumulators is wrong
    def form(x, v):  # traced once for all vectors
        with tf.autodiff.ForwardAccumulator(x, v) as accumulator:
            along = slope(x, v)  # (B,)
        return accumulator.jvp(along, unconnected_gradients="zero")

    return tf.stack([form(x, v) for v in tf.unstack(vectors)])


@checked
@exact_derivatives()
def top_eigenpair(loss, x, start, *, steps, how="power"):
    multiply, _ = _hessian(loss, x)  # one forward pass and one gradient for all steps

    def product(vector):
        return _wide(multiply(tf.cast(vector, x.dtype)))

    vector = tf.cast((_power if how == "power" else _lanczos)(product, _wide(start), steps), x.dtype)
    vector = tf.stop_gradient(vector)
    return _dot(vector, hvp(loss, x, vector)), vector  # (B,), (B, *S)


def _power(product, start, steps):
    vector = unit(start)
    for _ in range(steps):
        vector = unit(product(vector))
    return vector


def _lanczos(product, start, steps):
    basis, products = [unit(start)], []
    for _ in range(steps):
        products.append(product(basis[-1]))
        basis.append(_next(basis, products[-1]))
    products.append(product(basis[-1]))
    projected = _dots(tf.stack(basis), tf.stack(products))  # QᵀHQ: (K, K, B)
    values, vectors = tf.linalg.eigh(tf.transpose(projected + tf.transpose(projected, (1, 0, 2)), (2, 0, 1)) / 2)
    coordinates = tf.gather(vectors, tf.argmax(tf.abs(values), 1), axis=2, batch_dims=1)  # (B, K)
    coordinates = tf.where(coordinates[:, :1] < 0, -coordinates, coordinates)  # turned towards the start
    return unit(tf.einsum("bk,kb...->b...", coordinates, tf.stack(basis)))


def _next(basis, product):  # its part orthogonal to the basis; twice, since once leaves rounding errors of size one
    basis, rest = tf.stack(basis), product
    for _ in range(2):
        rest = rest - tf.einsum("kb,kb...->b...", _dots(basis, rest[None])[:, 0], basis)
    exhausted = l2_norm(rest) <= 64 * np.finfo(rest.dtype.as_numpy_dtype).eps * l2_norm(product)
    exhausted = tf.reshape(exhausted, (-1, *[1] * (rest.shape.rank - 1)))
    return tf.where(exhausted, tf.zeros_like(rest), unit(rest))


def _dot(a, b):
    return tf.reduce_sum(tf.reshape(_wide(a) * _wide(b), (tf.shape(a)[0], -1)), 1)  # (B,)


def _dots(a, b):  # each of a (K, B, *S) with each of b (M, B, *S)
    return tf.einsum("kbn,mbn->kmb", *(tf.reshape(c, (c.shape[0], tf.shape(c)[1], -1)) for c in (a, b)))
