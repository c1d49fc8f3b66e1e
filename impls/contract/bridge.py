"""What each framework's `__init__` provides, so that one harness can drive the three. Methods do not use it.

`MODES` names the ways the framework can run a step, plainest first; `SWEEP_MODE` the one in which many calls of one
small function are soonest done, `ONCE_MODE` a single call. `COMPARED_MODES` are those that claim E4 holds against one
another: all that compile within seconds. `SETTINGS` says how arguments of a call may come in this framework (the words
are those of `equivalence.calls.settings`), and which mode each is run in; `TRACED_SEEDS` whether a sampler's seed may
be traced; `INTEGERS` the dtype, at least, in which class numbers and tokens come to the framework's own losses.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from impls.contract.types import Array


def configure(*, threads: int, double: bool) -> None:
    """Set threads, float64 support and full-precision matrix products. Once a process, before any array is made."""


def versions() -> dict[str, str]:
    """Versions of the libraries that compute, by package name."""


def devices() -> list[str]:
    """Devices that can be named: "cpu", and "cuda" where there is a GPU."""


def from_numpy(array: np.ndarray, device: str = "cpu") -> Array:
    """The framework's array with the same values, shape and dtype, on the device."""


def to_numpy(array: Array) -> np.ndarray:
    """A NumPy copy; of bfloat16, which NumPy lacks, in float32."""


def cast(array: Array, dtype: str) -> Array:
    """The array in another floating-point dtype, named as in "bfloat16"; gradients pass."""


def finite(array: Array) -> bool | None:
    """Whether every value is finite; None while the array is traced and has no values."""


def transposed(array: Array) -> Array:
    """The array with its memory in another order than its axes, where the framework has strides; else as it is."""


def unsized(array: Array, axis: int) -> Array:
    """The array with one size that is not known while it is traced, where a framework has such; else as it is."""


def span(array: Array) -> tuple[float, float]:
    """The smallest and the largest value of an array that is not traced."""


def fixed(array: Array) -> Array:
    """The array without its history: no gradient flows through it."""


def gradient(function: Callable[[Array], Array], x: Array) -> Array:
    """∇ₓ Σ function(x), differentiable again."""


def value_and_grad(objective: Callable[..., Array]) -> Callable[..., tuple[Array, dict[str, Array]]]:
    """objective(params, *arrays) -> array becomes (params, *arrays) -> (that array, ∇ of its mean in params)."""


def values_and_grads(
    objective: Callable[..., tuple[Array, ...]],
) -> Callable[..., list[tuple[Array, dict[str, Array]]]]:
    """The same of an objective that returns several arrays: each of them with the ∇ of its own mean."""


def compiled(step: Callable[..., Any], mode: str) -> Callable[..., Any]:
    """The step, run in one of MODES. Tracing and compilation happen at the first call."""


def traced(step: Callable[..., Any], mode: str, arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """The step for arguments of these shapes and dtypes, traced; it is compiled at its first call."""


def device_memory(device: str) -> float:
    """The most memory that arrays on the GPU have held in this process, in MiB; NaN on a CPU."""


def synchronise(tree: Any) -> None:
    """Wait until every array in nested tuples and dicts has been computed."""
