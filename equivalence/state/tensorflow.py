"""TensorFlow's global state, and that of Keras."""

import random

import keras
import tensorflow as tf
from keras.src.backend.common import global_state
from tensorflow.python.eager import context
from tensorflow.python.framework import config, ops, random_seed
from tensorflow.python.ops import stateful_random_ops

from equivalence.state import Pair, Setting

seed = tf.random.set_seed


def set_determinism(on):
    config.enable_op_determinism() if on else config.disable_op_determinism()


SETTINGS = {
    "TensorFlow's deterministic operations": Setting(config.is_op_determinism_enabled, set_determinism, True),
    "TensorFlow's eager running of functions": Setting(
        tf.config.functions_run_eagerly, tf.config.run_functions_eagerly, True
    ),
    "TensorFlow's use of TensorFloat-32": Setting(
        tf.config.experimental.tensor_float_32_execution_enabled,
        tf.config.experimental.enable_tensor_float_32_execution,
        True,
    ),
    "TensorFlow's placement on other devices": Setting(
        lambda: context.context()._soft_device_placement, tf.config.set_soft_device_placement, False
    ),
    "TensorFlow's compilation by XLA": Setting(
        lambda: bool(context.context()._optimizer_jit), tf.config.optimizer.set_jit, True
    ),
    "TensorFlow's level of logging": Setting(lambda: tf.get_logger().level, tf.get_logger().setLevel, 10),
    "Keras's default dtype": Setting(keras.config.floatx, keras.config.set_floatx, "float64"),
    "Keras's dtype policy": Setting(
        keras.config.dtype_policy, keras.config.set_dtype_policy, keras.DTypePolicy("mixed_float16")
    ),
    "Keras's layout of images": Setting(
        keras.config.image_data_format, keras.config.set_image_data_format, "channels_first"
    ),
    "Keras's fuzz factor": Setting(keras.config.epsilon, keras.config.set_epsilon, 1e-3),
}


def drawn_in_graphs():
    """How many random operations there are in graphs that have a seed."""
    return sum(random_seed._graph_to_seed_dict.values())


OPERATIONS = Pair(random.Random())  # seeds those that have no seed of their own


def stir_tensorflow(seed):
    """Set the global seed, and that of the graph that is being traced; operations are seeded from one or the other."""
    eager, graph = context.context(), ops.get_default_graph()
    before = eager._seed, getattr(eager, "_rng", None), graph.seed
    eager._seed, eager._rng, graph.seed = seed, OPERATIONS.generator, seed
    drawn, end_operations = drawn_in_graphs(), OPERATIONS.stir(seed)

    def end():
        touched = end_operations() or eager._rng is not OPERATIONS.generator or drawn_in_graphs() != drawn
        seeded = [found for found in (eager._seed, graph.seed) if found != seed]
        eager._seed, eager._rng, graph.seed = before
        return f"seeded with {seeded[0]}" if seeded else "drawn from" if touched else ""

    return end


def stir_global_generator(seed):
    """Take TensorFlow's global generator away: one that is there afterwards was used, or set."""
    before, stateful_random_ops.global_generator = stateful_random_ops.global_generator, None

    def end():
        after, stateful_random_ops.global_generator = stateful_random_ops.global_generator, before
        return "" if after is None else "drawn from, or set"

    return end


def stir_keras(seed):
    """Take Keras's generator of seeds away: one that is there afterwards was used, or set."""
    name = "global_seed_generator"
    before = global_state.get_global_attribute(name)
    global_state.set_global_attribute(name, None)

    def end():
        after = global_state.get_global_attribute(name)
        global_state.set_global_attribute(name, before)
        return "" if after is None else "drawn from, or seeded"

    return end


GENERATORS = {
    "TensorFlow's random generator": stir_tensorflow,
    "TensorFlow's global random generator": stir_global_generator,
    "Keras's generator of seeds": stir_keras,
}
