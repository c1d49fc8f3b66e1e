"""A problem in NumPy's terms: evaluated at points and parameters, moved along a line, its gradients beside it."""

import copy
import functools
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from equivalence.own_models import Problem

Array = Any


class Line:
    """A problem, its framework's bridge, and directions that are drawn from a seed.

    Args:
        bridge: of the framework.
        problem: losses as a function of parameters and a point.
        computed: the coarsest dtype that it is computed in, whatever it is given.
        seed: of the directions. Each has the length of what it moves, so that steps are relative to that.
    """

    def __init__(self, bridge: ModuleType, problem: Problem, computed: str = "float64", seed: int = 0):
        self.bridge, self.problem, self.computed = bridge, problem, computed
        self.x, self.dtype = bridge.to_numpy(problem.x), dtype_of(problem.x)
        self.params = {name: bridge.to_numpy(value) for name, value in problem.params.items()}
        self.draw(seed)

    def draw(self, seed: int) -> None:
        """Draw every direction from a seed."""
        self.seed = seed
        rng = np.random.default_rng(seed)
        self.u, self.v = (beside(rng, self.x, each=True) for _ in range(2))
        self.signs = rng.choice([-1.0, 1.0], self.x.shape).astype(self.x.dtype)
        self.w = {name: beside(rng, value) for name, value in self.params.items()}

    def along(self, seed: int) -> "Line":
        """The same problem, with what has been compiled of it, and directions of another seed."""
        if seed == self.seed:
            return self
        other = copy.copy(self)
        other.draw(seed)
        return other

    def array(self, values: np.ndarray, dtype: str = "") -> Array:
        """The framework's array, in the dtype that the point has: NumPy has no bfloat16."""
        made = self.bridge.from_numpy(values)
        return self.bridge.cast(made, "bfloat16") if (dtype or self.dtype) == "bfloat16" else made

    def at(self, t: float = 0.0, direction: np.ndarray | None = None) -> Array:
        """The point, moved."""
        return self.array(self.x if direction is None else (self.x + t * direction).astype(self.x.dtype))

    def params_at(self, s: float) -> dict[str, Array]:
        """The parameters, moved along w."""
        return {
            name: self.array((value + s * self.w[name]).astype(value.dtype), dtype_of(self.problem.params[name]))
            for name, value in self.params.items()
        }

    def compiled(self, function: Callable[..., Array]) -> Callable[..., Any]:
        """A function of (params, x), as this framework runs it soonest where it is called many times."""
        run = self.bridge.compiled(function, self.bridge.SWEEP_MODE)
        return lambda params, x: to_numpy(self.bridge, run(params, x))

    @functools.cached_property
    def losses(self) -> Callable[..., np.ndarray]:
        return self.compiled(self.problem.losses)

    @functools.cached_property
    def gradient(self) -> Callable[..., np.ndarray]:
        """∇ₓ of the sum of the losses."""
        losses = self.problem.losses
        return self.compiled(lambda params, x: self.bridge.gradient(lambda x: losses(params, x), x))

    def slope(self, method: Callable[..., Array]) -> tuple[np.ndarray, float, float]:
        """What a method gives, the derivative of its mean along w, and the size that a sum of such terms has."""
        return self.sloping(method)()

    def sloping(self, method: Callable[..., Array]) -> Callable[..., tuple[np.ndarray, float, float]]:
        """The same of a method (loss, x, *more), as a function of what else it takes."""
        losses = self.problem.losses
        step = self.bridge.value_and_grad(lambda params, x, *more: method(lambda x: losses(params, x), x, *more))
        run = self.bridge.compiled(step, self.bridge.SWEEP_MODE)

        def slope(*more: Array) -> tuple[np.ndarray, float, float]:
            values, gradients = run(self.params_at(0.0), self.at(), *more)
            terms = [self.bridge.to_numpy(gradients[name]) * self.w[name] for name in self.w]
            along = float(sum(part.sum() for part in terms))
            return self.bridge.to_numpy(values), along, float(np.sqrt(sum(np.square(part).sum() for part in terms)))

        return slope


def dtype_of(array: Array) -> str:
    """The name of an array's dtype, in any framework."""
    return str(getattr(array.dtype, "name", array.dtype)).removeprefix("torch.")


def to_numpy(bridge: ModuleType, result: Any) -> Any:
    """Arrays in tuples and mappings as NumPy's."""
    if isinstance(result, tuple):
        return tuple(to_numpy(bridge, part) for part in result)
    if isinstance(result, Mapping):
        return {name: to_numpy(bridge, part) for name, part in result.items()}
    return bridge.to_numpy(result)


def beside(rng: np.random.Generator, values: np.ndarray, each: bool = False) -> np.ndarray:
    """A random direction as long as the values are, each row as long as its own; of length 1 where they are 0."""
    drawn = rng.standard_normal(values.shape)
    axes = tuple(range(1, values.ndim)) if each and values.ndim > 1 else None
    size, own = (np.sqrt(np.square(a).sum(axes, keepdims=axes is not None)) for a in (values.astype(float), drawn))
    length = np.where(size == 0, 1, size) / np.where(own == 0, 1, own)
    return (drawn * length).astype(values.dtype)
