"""A case brought to life in one framework: closures over parameters, and compiled sweeps over them."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from equivalence.cases import Case

Array = Any


@dataclass(frozen=True)
class Point:
    """What methods are called with at given parameters: closures, the batch, and the case's extra arrays.

    `of_params` is the loss as a function of all parameters, `of_table` of the one that stands for a table.
    """

    f: Callable[[Array], Array]
    loss: Callable[[Array], Array]
    x: Array
    labels: Array
    extra: SimpleNamespace
    case: Case
    params: Mapping[str, Array]
    of_params: Callable[[Mapping[str, Array]], Array]
    of_table: Callable[[Array], Array]

    @property
    def table(self) -> Array:
        return self.params[str(self.case.table)]

    def drawn(self, prefix: str) -> dict[str, Array]:
        """The extra arrays that belong to parameters, by the parameters' names."""
        return {
            name: getattr(self.extra, f"{prefix} {name}")
            for name in self.params
            if hasattr(self.extra, f"{prefix} {name}")
        }


class Problem:
    """A case in one framework, dtype and device. `methods` may hold replaced functions."""

    def __init__(self, case: Case, bridge: ModuleType, methods: SimpleNamespace, dtype: str, device: str = "cpu"):
        self.case, self.bridge, self.methods, self.dtype, self.device = case, bridge, methods, dtype, device
        self.models = importlib.import_module(f"{bridge.__name__}.models")
        self.params = {name: self.array(value) for name, value in sorted(case.params.items())}
        self.data = {
            name: self.array(value)
            for name in ("x", "tokens", "mask", "labels", "directions")
            if (value := getattr(case, name)) is not None
        }
        self.extra = SimpleNamespace(**{name: self.array(value) for name, value in case.extra.items()})

    def array(self, value: Any) -> Array:
        """A framework's array; floating-point numbers take the problem's dtype."""
        value = np.asarray(value)
        return self.bridge.from_numpy(value.astype(self.dtype) if value.dtype.kind == "f" else value, self.device)

    def in_dtype(self, dtype: str) -> "Problem":
        """The same problem in another precision."""
        return Problem(self.case, self.bridge, self.methods, dtype, self.device)

    def tiled(self, copies: int) -> "Problem":
        """The same problem with its batch repeated: one call evaluates a method with many arguments a sample."""
        return Problem(self.case.tiled(copies), self.bridge, self.methods, self.dtype, self.device)

    def at(self, params: Mapping[str, Array]) -> Point:
        """The closures at the given parameters. Behind an embedding, x is its output and depends on them."""
        data, model = self.data, getattr(self.models, self.case.model)
        x = self.models.embed(params, data["tokens"]) if "tokens" in data else data["x"]
        masks = (data["mask"],) if "mask" in data else ()

        def f(x: Array) -> Array:
            return model(params, x, *masks)

        def loss(x: Array) -> Array:
            outputs = f(x)
            return outputs[:, 0] if self.case.loss == "value" else self.methods.cross_entropy(outputs, data["labels"])

        def of_params(params: Mapping[str, Array]) -> Array:
            moved = self.at(params)
            return moved.loss(moved.x)

        def of_table(table: Array) -> Array:
            return of_params({**params, str(self.case.table): table})

        return Point(f, loss, x, data["labels"], self.extra, self.case, params, of_params, of_table)

    def low_dimensional(self, point: Point) -> Point:
        """The same point as a function of coordinates (B, m) along the case's directions, where it has them."""
        if "directions" not in self.data:
            return point
        directions = self.data["directions"]

        def move(c: Array) -> Array:
            return self.models.shift(point.x, directions, c)

        zeros = self.array(np.zeros((self.case.batch, len(self.case.directions))))  # type: ignore[arg-type]
        return replace(point, f=lambda c: point.f(move(c)), loss=lambda c: point.loss(move(c)), x=zeros)

    def evaluate_all(
        self, objectives: Mapping[str, Callable[[Point], Array]]
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """objective(point) (*shape) and the gradient of its mean in the parameters (P,), by name; compiled as one."""

        def steps(params: dict[str, Array]) -> dict[str, Any]:
            return {
                name: self.bridge.value_and_grad(lambda params, call=call: call(self.at(params)))(params)
                for name, call in objectives.items()
            }

        results = self.bridge.compiled(steps, self.bridge.SWEEP_MODE)(self.params)
        return {
            name: (self.bridge.to_numpy(value), flat({key: self.bridge.to_numpy(g) for key, g in gradient.items()}))
            for name, (value, gradient) in results.items()
        }

    def evaluate(
        self, objective: Callable[..., Array], arguments: Sequence[Sequence[Any]] = ((),)
    ) -> tuple[np.ndarray, np.ndarray]:
        """objective(point, *arguments) and the gradient of its mean in the parameters, for each tuple of arguments.

        Compiled once for the whole sweep. Returns (S, *shape) and (S, P), P all parameters by sorted name.
        """

        def step(params: dict[str, Array], *arrays: Array) -> Array:
            return objective(self.at(params), *arrays)

        run = self.bridge.compiled(self.bridge.value_and_grad(step), self.bridge.SWEEP_MODE)
        values, gradients = [], []
        for tuple_of_arguments in arguments:
            value, gradient = run(self.params, *map(self.array, tuple_of_arguments))
            values.append(self.bridge.to_numpy(value))
            gradients.append(flat({name: self.bridge.to_numpy(grad) for name, grad in gradient.items()}))
        return np.stack(values), np.stack(gradients)

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """function(point, *arguments) at the case's parameters, compiled, with NumPy arrays in and out."""

        def step(params: dict[str, Array], *arrays: Array) -> Any:
            return function(self.at(params), *arrays)

        run = self.bridge.compiled(step, self.bridge.SWEEP_MODE)

        def on_numpy(*arguments: Any) -> Any:
            result = run(self.params, *map(self.array, arguments))
            return (
                tuple(map(self.bridge.to_numpy, result)) if isinstance(result, tuple) else self.bridge.to_numpy(result)
            )

        return on_numpy


def flat(tree: dict[str, np.ndarray]) -> np.ndarray:
    """All parameters in one vector, by sorted name."""
    return np.concatenate([np.ravel(tree[name]) for name in sorted(tree)])
