"""Entries of TensorFlow and Keras, by family, and how its derivatives are written in a program of a few lines."""

PACKAGES = ("tensorflow", "tensorflow-cpu", "keras")  # whose versions a record is about: those that are installed
MODES = ("function", "eager", "xla", "vectorized_map")
DEFAULT_MODES = MODES
# Compositions that a mode takes too long for. RFF is wrong of every operation, since tapes misread nested accumulators:
# it is measured once, of `tf.autodiff.ForwardAccumulator` itself.
LEFT_OUT = {
    "function": ("RRF", "RFF"),
    "eager": ("RFR", "RRF", "RFF"),
    "xla": ("RFR", "RRF", "RFF"),
    "vectorized_map": ("RF", "FF", "RFR", "RRF", "RFF"),
}
HEADER = "import numpy as np, tensorflow as tf, keras"
SCRIPT = {
    "start": 'keras.config.set_floatx("{dtype}"); keras.utils.set_random_seed({seed})',
    "array": "tf.constant({}, tf.{dtype})",
    "head": "tf.reduce_sum(tf.sin({}))",
    "R": "def R(f):\n  def run(*x):\n    with tf.GradientTape() as t: t.watch(x); y = f(*x)\n"
    "    g = t.gradient(y, x, unconnected_gradients='zero')\n"
    "    return sum(tf.reduce_sum(a * e) for a, e in zip(g, d))\n  return run",
    "F": "def J(f):\n  def run(*x):\n    with tf.autodiff.ForwardAccumulator(x, d) as t: y = f(*x)\n"
    "    return t.jvp(y, 'zero')\n  return run",
    "penalty": "def P(f):\n  def run(*x):\n    with tf.GradientTape() as t: t.watch(x); y = f(*x)\n"
    "    return sum(tf.reduce_sum(g * g) for g in t.gradient(y, x, unconnected_gradients='zero'))\n  return run",
    "version": "tf.__version__, keras.__version__",
    "eager": "{}(*x)",
    "function": "tf.function({}, autograph=False)(*x)",
    "xla": "tf.function({}, autograph=False, jit_compile=True)(*x)",
    "vectorized_map": "tf.vectorized_map(lambda x: {}(*x), [tf.stack([a, a]) for a in x])[1]",
}
