"""Rules that are written by hand, and what wraps operations."""

from equivalence.atlas.entry import Entries, normal

ENTRIES = Entries(__name__)
add = ENTRIES.add

CUBE = "cube = tf.custom_gradient(lambda x: (x**3, lambda g: g * 3 * x**2))"
add("tf.custom_gradient", "cube(x)", setup=CUBE, hand="x**3", x=normal(3))
TWICE = (
    "square = tf.custom_gradient(lambda x: (x**2, lambda g: g * 2 * x));"
    " cube = tf.custom_gradient(lambda x: (x**3, lambda g: g * 3 * square(x)))"
)
add("tf.custom_gradient, nested", "cube(x)", setup=TWICE, hand="x**3", x=normal(3))
add("tf.recompute_grad", "tf.recompute_grad(lambda x: tf.sin(x) * x)(x)", hand="np.sin(x) * x", x=normal(3))
add("tf.grad_pass_through", "tf.grad_pass_through(lambda x: x)(x) ** 3", hand="x**3", x=normal(3))
add("tf.function inside", "tf.function(lambda x: tf.sin(x) * x)(x)", hand="np.sin(x) * x", x=normal(3))
add(
    "tf.function inside, xla",
    "tf.function(lambda x: tf.sin(x) * x, jit_compile=True)(x)",
    hand="np.sin(x) * x",
    x=normal(3),
)
add(
    "tf.GradientTape inside",
    "slope(x)",
    setup="def slope(x):\n  with tf.GradientTape() as t: t.watch(x); y = x**3\n  return t.gradient(y, x)",
    hand="3 * x**2",
    x=normal(3),
)
FORWARD = "def slope(x):\n  with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as t: y = x**3\n  return t.jvp(y)"
add("tf.autodiff.ForwardAccumulator", "slope(x)", setup=FORWARD, hand="3 * x**2", x=normal(3))
NESTED = (
    "def second(x):\n  with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as s:\n"
    "    with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as t: y = tf.tanh(x)\n"
    "    y = t.jvp(y)\n  return s.jvp(y)"
)
add(
    "tf.autodiff.ForwardAccumulator, nested",
    "second(x)",
    setup=NESTED,
    hand="-2 * np.tanh(x) * (1 - np.tanh(x) ** 2)",
    x=normal(3),
)
add("tf.py_function", "tf.py_function(lambda x: x**3, [x], tf.float64)", hand="x**3", x=normal(3))
add(
    "tf.numpy_function",
    "tf.ensure_shape(tf.numpy_function(lambda x: x**3, [x], tf.float64), [3])",
    hand="x**3",
    documented="tf.numpy_function: gradients are not supported",
    x=normal(3),
)
add(
    "tf.raw_ops.PreventGradient",
    "tf.raw_ops.PreventGradient(input=x) ** 3",
    hand="x**3",
    documented="PreventGradient raises",
    x=normal(3),
)
add("tf.debugging.check_numerics", "tf.debugging.check_numerics(x, 'x') ** 3", hand="x**3", x=normal(3))
add(
    "keras.layers.Dropout, inference",
    "layer(x) ** 3",
    setup="layer = keras.layers.Dropout(0.5)",
    hand="x**3",
    x=normal(3),
)
add("keras.layers.Lambda", "layer(x)", setup="layer = keras.layers.Lambda(lambda x: x**3)", hand="x**3", x=normal(3))
RULE = "lambda *a, upstream=None: (upstream if a == () else a[0]) * 3 * x**2"
add(
    "keras.ops.custom_gradient",
    "cube(x)",
    setup=f"cube = keras.ops.custom_gradient(lambda x: (x**3, {RULE}))",
    hand="x**3",
    x=normal(3),
)
