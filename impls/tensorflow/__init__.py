"""TensorFlow's bridge. `import tensorflow` inside this folder means the framework: imports are absolute."""

import numpy as np
import tensorflow as tf

MODES = ("eager", "function", "xla")
SWEEP_MODE = "function"
ONCE_MODE = "eager"
COMPARED_MODES = MODES
INTEGERS = "int32"
TRACED_SEEDS = True
SETTINGS = {
    "": "eager",
    "computed arguments": "eager",
    "traced": "function",
    "traced numbers": "function",
    "any batch size": "function",
    "another precision": "eager",
}


def configure(*, threads, double):
    tf.get_logger().setLevel("ERROR")  # a sweep over many small functions is not the retracing that it warns of
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.experimental.enable_tensor_float_32_execution(False)


def versions():
    return {"tensorflow": tf.__version__}


def devices():
    return ["cpu", "cuda"] if tf.config.list_physical_devices("GPU") else ["cpu"]


def from_numpy(array, device="cpu"):
    with tf.device("GPU:0" if device == "cuda" else "CPU:0"):
        return tf.identity(tf.convert_to_tensor(np.array(array)))


def to_numpy(array):
    return (cast(array, "float32") if array.dtype == tf.bfloat16 else array).numpy().copy()


def cast(array, dtype):
    return tf.cast(array, dtype)


def finite(array):
    if not tf.executing_eagerly():
        return None
    if tf.as_dtype(array.dtype).is_integer:  # for which it is not defined
        return True
    return bool(tf.reduce_all(tf.math.is_finite(array)))


def transposed(array):
    return array  # no strides


def unsized(array, axis):
    shape = [None if axis == place else size for place, size in enumerate(array.shape)]
    return tf.raw_ops.PlaceholderWithDefault(input=array, shape=shape)


def span(array):
    return float(tf.reduce_min(array)), float(tf.reduce_max(array))


def fixed(array):
    return tf.stop_gradient(array)


def gradient(function, x):
    x = tf.identity(x)  # a tape watches a name: what the function itself holds of x has another
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(function(x))
    return tape.gradient(total, x, unconnected_gradients="zero")


def value_and_grad(objective):
    def step(params, *arrays):
        params = tf.nest.map_structure(tf.identity, params)
        with tf.GradientTape() as tape:
            tape.watch(params)
            values = objective(params, *arrays)
            mean = tf.reduce_mean(values)
        grads = tape.gradient(mean, params, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return values, {name: tf.convert_to_tensor(grad) for name, grad in grads.items()}  # a table's may be sparse

    return step


def values_and_grads(objective):
    def step(params, *arrays):
        counts = []

        def part(number):
            def one(*given):
                results = objective(*given)
                counts.append(len(results))
                return results[number]

            return value_and_grad(one)(params, *arrays)

        first = part(0)  # each anew: functions under a tape that persists take ten times as long
        return [first, *(part(number) for number in range(1, counts[0]))]

    return step


def compiled(step, mode):
    if mode == "eager":
        return step
    return tf.function(step, autograph=False, jit_compile=mode == "xla")


def traced(step, mode, arguments):
    return step if mode == "eager" else compiled(step, mode).get_concrete_function(*arguments)


def device_memory(device):
    return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20 if device == "cuda" else float("nan")


def synchronise(tree):
    for leaf in tf.nest.flatten(tree):
        leaf.numpy()
