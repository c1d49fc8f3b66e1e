"""JAX's bridge. `import jax` inside this folder means the framework: imports are absolute."""

import importlib.metadata
import importlib.util

import jax
import numpy as np

MODES = ("eager", "jit")
SWEEP_MODE = "jit"
ONCE_MODE = "jit"
COMPARED_MODES = MODES
INTEGERS = "int32"
TRACED_SEEDS = True
SETTINGS = {"": "jit", "computed arguments": "jit", "traced numbers": "jit", "another precision": "jit"}


def configure(*, threads, double):
    jax.config.update("jax_enable_x64", double)  # threads: XLA follows the process's CPU affinity
    jax.config.update("jax_default_matmul_precision", "highest")


def versions():
    found = {"jax": jax.__version__, "jaxlib": jax.lib.__version__}
    if importlib.util.find_spec("folx"):  # the forward Laplacian alone needs it
        found["folx"] = importlib.metadata.version("folx")
    return found


def devices():
    return ["cpu", "cuda"] if jax.default_backend() == "gpu" else ["cpu"]


def from_numpy(array, device="cpu"):
    return jax.device_put(np.array(array), jax.devices(device)[0])


def to_numpy(array):
    return np.array(array.astype(np.float32) if array.dtype == jax.numpy.bfloat16 else array)


def cast(array, dtype):
    return array.astype(dtype)


def finite(array):
    if isinstance(array, jax.core.Tracer):
        return None
    return bool(np.isfinite(np.asarray(array)).all())  # NumPy: jnp would be traced where a step is


def transposed(array):
    return array  # no strides


def unsized(array, axis):
    return array  # sizes are always known


def span(array):
    return float(np.asarray(array).min()), float(np.asarray(array).max())


def fixed(array):
    return jax.lax.stop_gradient(array)


def gradient(function, x):
    return jax.grad(lambda x: function(x).sum())(x)


def value_and_grad(objective):
    def mean_and_values(params, *arrays):
        values = objective(params, *arrays)
        return values.mean(), values

    def step(params, *arrays):
        grads, values = jax.grad(mean_and_values, has_aux=True)(params, *arrays)
        return values, grads

    return step


def values_and_grads(objective):
    def step(params, *arrays):
        results, pull = jax.vjp(lambda params: objective(params, *arrays), params)
        return [
            (values, pull(tuple(jax.numpy.full_like(other, (other is values) / other.size) for other in results))[0])
            for values in results
        ]

    return step


def compiled(step, mode):
    return step if mode == "eager" else jax.jit(step)


def traced(step, mode, arguments):
    if mode == "eager":
        return step
    run = jax.jit(step)
    run.trace(*arguments)  # kept by jit, which lowers and compiles it when called
    return run


def device_memory(device):
    return jax.devices(device)[0].memory_stats()["peak_bytes_in_use"] / 2**20 if device == "cuda" else float("nan")


def synchronise(tree):
    jax.block_until_ready(tree)
