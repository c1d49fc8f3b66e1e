"""TensorFlow's derivatives, as its users nest them."""

import math

import keras
import numpy as np
import tensorflow as tf

from equivalence.atlas.answers import ask
from equivalence.atlas.compositions import METRIC
from equivalence.atlas.tensorflow import HEADER, MODES  # noqa: F401 - whoever measures asks for the modes here


def configure(threads):
    tf.get_logger().setLevel("ERROR")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")  # Keras derives it from floatx once, at the first layer of the process


def function(entry, shapes, linear=False, total=False):
    """The entry as a number of one flat vector: a sum of sines of its outputs, or of these alone."""
    space = {}
    keras.utils.set_random_seed(entry.seed)
    exec(f"{HEADER}\n{entry.setup}", space)
    call = eval(f"lambda {', '.join(entry.inputs)}: {entry.call}", space)
    sizes = [math.prod(shape) for shape in shapes]

    def value(x):
        parts = [tf.reshape(part, shape) for part, shape in zip(tf.split(x, sizes), shapes, strict=True)]
        output = tf.reshape(call(*parts), [-1])
        if total:
            return tf.reduce_sum(output)
        weighted = output * tf.linspace(tf.constant(0.5, output.dtype), tf.constant(1.5, output.dtype), output.shape[0])
        return tf.reduce_sum(weighted if linear else tf.sin(weighted))

    value(tf.zeros(sum(sizes), entry.dtype) + 0.5)  # a layer makes its variables where nothing is traced
    return value


def operators(mode):
    return reverse, forward


def reverse(function, direction):
    return lambda x: tf.reduce_sum(gradient(function, x) * direction)


def forward(function, direction):
    def along(x):
        x = tf.identity(x)
        with tf.autodiff.ForwardAccumulator(x, direction) as accumulator:
            found = function(x)
        return accumulator.jvp(found, unconnected_gradients="zero")

    return along


def squared_gradient(function, mode):
    def squared(x):
        found = gradient(function, x)
        return tf.reduce_sum(found**2 * np.linspace(*METRIC, found.shape[0]).astype(found.dtype.as_numpy_dtype))

    return squared


def gradient(function, x):
    x = tf.identity(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        found = function(x)
    return tf.convert_to_tensor(tape.gradient(found, x, unconnected_gradients="zero"))


def values(function, dtype):
    compiled = tf.function(function, autograph=False)
    return lambda points: np.array([float(compiled(tf.constant(point, dtype))) for point in points])


def run(derived, mode, x, triples, dtype):
    """What each derivative is at x along each triple of directions, or the error that it raised."""
    arguments = [[tf.constant(np.asarray(each), dtype) for each in (x, *triple)] for triple in triples]
    return ask(derived, lambda derivative: in_mode(derivative, mode), arguments, together=mode != "eager")


def in_mode(derivative, mode):
    if mode == "eager":
        return derivative
    step = mapped(derivative) if mode == "vectorized_map" else derivative
    return tf.function(step, autograph=False, jit_compile=mode == "xla")


def mapped(derivative):
    def run(x, *rest):
        two = tf.stack([x + 0.05 * rest[0], x])  # the sample that is judged is not the first
        found = tf.vectorized_map(lambda x: derivative(x, *rest), two)
        return tf.nest.map_structure(lambda each: each[1], found)

    return run
