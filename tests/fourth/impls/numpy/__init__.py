"""NumPy's bridge. `import numpy` inside this folder means the package: imports are absolute."""

import numpy as np

MODES = ("eager",)
SWEEP_MODE = "eager"
ONCE_MODE = "eager"
COMPARED_MODES = MODES
TRACED_SEEDS = False
SETTINGS = {"": "eager"}
INTEGERS = "int32"
STEP = 1e-40  # its square vanishes beside 1


def configure(*, threads, double):
    pass  # threads: the process's variables say how many; dtypes are those of the arrays


def versions():
    return {"numpy": np.__version__}


def devices():
    return ["cpu"]


def from_numpy(array, device="cpu"):
    return np.array(array)


def to_numpy(array):
    return np.array(array)


def cast(array, dtype):
    """In another dtype; NumPy has no bfloat16, of which float32 holds every number."""
    if dtype != "bfloat16":
        return array.astype(dtype)
    bits = array.astype(np.float32).view(np.uint32)
    nearest = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return nearest.astype(np.uint32).view(np.float32)


def finite(array):
    return bool(np.isfinite(array).all())


def span(array):
    return float(array.min()), float(array.max())


def fixed(array):
    return array


def gradient(function, x):
    """By complex steps, a component of all samples at a time: exact to rounding, and no step to choose."""
    rows = x.reshape(len(x), -1).astype(complex)
    columns = [function((rows + 1j * STEP * unit).reshape(x.shape)).imag / STEP for unit in np.eye(rows.shape[1])]
    return np.stack(columns, 1).reshape(x.shape).astype(x.dtype)


def compiled(step, mode):
    return step


def synchronise(tree):
    pass
