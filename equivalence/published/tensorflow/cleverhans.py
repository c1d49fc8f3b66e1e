"""cleverhans in TensorFlow: the fast gradient method, and starts within a ball."""

from equivalence.published.logits import of_tensorflow
from equivalence.published.package import LIMIT, WRONG, Package, only

PACKAGE = Package(
    "cleverhans", "4.0.0", ("tensorflow", "cleverhans.tf2.attacks.fast_gradient_method", "cleverhans.tf2.utils")
)
NORMS = {"l2": 2, "linf": float("inf"), "l1": 1}


def attacked(loss, x, own, norm, scope, radius):
    import numpy as np
    import tensorflow as tf
    from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method

    only(norm == own and scope == "sample", own)

    def model(at):
        return of_tensorflow(loss(tf.stop_gradient(x) + at))

    labels = tf.zeros(tf.shape(x)[:1], tf.int64)
    order = np.inf if own == "linf" else NORMS[own]
    return tf.stop_gradient(radius * fast_gradient_method(model, tf.zeros_like(x), 1.0, order, y=labels))


@PACKAGE.adapts("fast_gradient_method, L∞", "fgm", LIMIT, "sign g, in float32", compared="L∞", dtypes=("float32",))
def fast_gradient_linf(loss, x, *, radius, norm="l2", scope="sample"):
    return attacked(loss, x, "linf", norm, scope, radius)


@PACKAGE.adapts(
    "fast_gradient_method, L2",
    "fgm",
    LIMIT,
    "in float32; the norm of a gradient is not taken below 1e-6",
    compared="L2, a sample",
    dtypes=("float32",),
    shows=("tiny-gradients", "a loss times 1e-09"),
)
def fast_gradient_l2(loss, x, *, radius, norm="l2", scope="sample"):
    return attacked(loss, x, "l2", norm, scope, radius)


@PACKAGE.adapts("fast_gradient_method, L1", "fgm", LIMIT, "in float32", compared="L1, a sample", dtypes=("float32",))
def fast_gradient_l1(loss, x, *, radius, norm="l2", scope="sample"):
    return attacked(loss, x, "l1", norm, scope, radius)


@PACKAGE.adapts(
    "clip_eta",
    "project",
    LIMIT,
    "a norm is not taken below 1e-6; traced it raises for float64, whose floor is float32",
    compared="L2, L∞",
    shows=("numbers of 1e-15", "· traced", "· any batch size", "C8"),
)
def clip(x, *, radius, norm="l2"):
    import numpy as np
    from cleverhans.tf2.utils import clip_eta

    only(norm != "l1", "L2 and L∞")
    return clip_eta(x, 2 if norm == "l2" else np.inf, radius)


def drawn(seed, shape, like, order):
    from unittest import mock

    import tensorflow as tf
    from cleverhans.tf2.utils import random_lp_vector
    from tensorflow.python.eager import context

    def draw(seed):
        state = context.context()
        with mock.patch.object(state, "_seed"), mock.patch.object(state, "_rng", create=True):
            tf.random.set_seed(int(seed))
            return random_lp_vector(shape, order, 1.0, dtype=like.dtype)

    return tf.ensure_shape(tf.py_function(draw, [seed], like.dtype), shape)  # its seed is no array


@PACKAGE.adapts(
    "random_lp_vector, ord=1",
    "uniform_ball",
    WRONG,
    "differences of exponentials are moved by 1: P(r > 0) is 0.816, not ½",
    compared="L1, L2, L∞",
    shows=("B3",),
    witness="cleverhans_tensorflow_l1",
    since="3.1.0",
)
def ball(seed, shape, *, like, norm="l2"):
    import numpy as np

    return drawn(seed, shape, like, {"l2": 2, "linf": np.inf, "l1": 1}[norm])
