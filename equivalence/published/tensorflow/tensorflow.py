"""TensorFlow's own: losses, norms, derivatives, samplers."""

from equivalence.published.package import LIMIT, RIGHT, Package, only

PACKAGE = Package("tensorflow-cpu", "2.21.0", ("tensorflow",))


@PACKAGE.adapts(
    "nn.softmax_cross_entropy_with_logits",
    "cross_entropy",
    LIMIT,
    "to rounding; the gradient takes the labels' sum for 1, as it says, and is off by what it lacks: 6e-9 in float32",
    compared="soft labels",
    shows=("soft labels", "A6"),
)
def soft_cross_entropy(logits, labels):
    import tensorflow as tf

    only(len(labels.shape) == 2, "soft labels")
    return tf.nn.softmax_cross_entropy_with_logits(labels, logits)


@PACKAGE.adapts(
    "nn.sparse_softmax_cross_entropy_with_logits", "cross_entropy", RIGHT, "to rounding", compared="classes"
)
def cross_entropy(logits, labels):
    import tensorflow as tf

    only(len(labels.shape) == 1, "class numbers")
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


@PACKAGE.adapts(
    "norm",
    "l2_norm",
    LIMIT,
    "squares as they are: 1e-30 in float32 and 1e-200 in float64 give 0; the gradient at 0 is NaN",
    shows=("C6", "a zero"),
)
def l2_norm(x):
    import tensorflow as tf

    return tf.norm(tf.reshape(x, (tf.shape(x)[0], -1)), axis=1)


@PACKAGE.adapts(
    "math.l2_normalize",
    "unit",
    LIMIT,
    "‖x‖² is not taken below 1e-12, so that a shorter vector gives less than 1",
    compared="a sample",
    shows=("C6", "numbers of 1e-15"),
)
def unit(x, *, scope="sample"):
    import tensorflow as tf

    only(scope == "sample", "a norm a sample")
    return tf.math.l2_normalize(x, axis=list(range(1, len(x.shape))))


@PACKAGE.adapts(
    "clip_by_norm",
    "project",
    LIMIT,
    "to rounding; 0/0 is NaN where x and the radius are 0",
    compared="L2",
    shows=("radius 0.0",),
)
def project(x, *, radius, norm="l2"):
    import tensorflow as tf

    only(norm == "l2", "L2")
    return tf.clip_by_norm(x, radius, axes=list(range(1, len(x.shape))))


@PACKAGE.adapts("clip_by_value", "project", RIGHT, "to rounding", compared="L∞")
def clip(x, *, radius, norm="l2"):
    import tensorflow as tf

    only(norm == "linf", "L∞")
    radius = tf.convert_to_tensor(radius, x.dtype)
    return tf.clip_by_value(x, -radius, radius)


@PACKAGE.adapts(
    "GradientTape, twice",
    "hvp",
    LIMIT,
    "by double backward, to rounding; where a loss holds x itself, that is differentiated, too",
    shows=("that holds x", "G7"),
)
def hvp(loss, x, vector):
    import tensorflow as tf

    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            total = tf.reduce_sum(loss(x))
        gradient = inner.gradient(total, x)
    found = outer.gradient(gradient, x, vector)
    return tf.zeros_like(x) if found is None else found


@PACKAGE.adapts(
    "GradientTape.batch_jacobian",
    "jacobian_penalty",
    LIMIT,
    "its squared norm, to rounding; where a model holds x itself, that is differentiated, too; XLA refuses its loop",
    compared="exact, unweighted",
    shows=("that holds x", "G7", "E4"),
)
def jacobian(f, x, *, weights=None, probes=None, with_outputs=False):
    import tensorflow as tf

    only(weights is None and probes is None and not with_outputs, "the exact norm")
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        outputs = f(x)
    found = tape.batch_jacobian(outputs, x, experimental_use_pfor=False)
    return tf.reduce_sum(tf.square(found), axis=list(range(1, len(found.shape))))


@PACKAGE.adapts("random.stateless_normal", "gaussian", RIGHT, "standard normal, by every test")
def gaussian(seed, shape, *, like):
    import tensorflow as tf

    pair = tf.stack([tf.cast(seed, tf.int64), tf.constant(0, tf.int64)])
    return tf.random.stateless_normal(shape, pair, dtype=like.dtype)
