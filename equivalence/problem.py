"""A case brought to life in one framework: closures over parameters, and compiled sweeps over them."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from equivalence.cases import Case
from equivalence.measure import MIXED, computed_in

Array = Any
Evaluated = dict[str, tuple[np.ndarray, np.ndarray]]
MANY = 8  # calls of one function, from which on compiling it for them is worth its time


@dataclass(frozen=True)
class Point:
    """What methods are called with at given parameters: closures, the batch, and the case's extra arrays.

    `of_params` is the loss as a function of all parameters, `of_table` of the one that stands for a table, and
    `of_sparse_table` the same with a gradient that is sparse in a framework that has such.
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
    of_sparse_table: Callable[[Array], Array]
    directions: Array = None  # (m, *S), where the case has some

    @property
    def table(self) -> Array:
        return self.params[str(self.case.table)]

    def numbered(self, prefix: str) -> dict[str, Array]:
        """The extra arrays that belong to parameters, by the parameters' names."""
        return {
            name: getattr(self.extra, f"{prefix} {name}")
            for name in self.params
            if hasattr(self.extra, f"{prefix} {name}")
        }


class Problem:
    """A case in one framework, dtype and device. `methods` may hold replaced functions.

    In a dtype that is "mixed bfloat16", say, all numbers are float32 and the framework's own mixed precision computes
    the model.
    """

    def __init__(self, case: Case, bridge: ModuleType, methods: SimpleNamespace, dtype: str, device: str = "cpu"):
        self.case, self.bridge, self.methods, self.dtype, self.device = case, bridge, methods, dtype, device
        self.held_in = "float32" if dtype.startswith(MIXED) else dtype
        self.models = importlib.import_module(f"{bridge.__name__}.models")
        self.model = getattr(self.models, case.model)
        if dtype.startswith(MIXED):
            framework = bridge.__name__.rpartition(".")[2]
            mixed = importlib.import_module(f"equivalence.mixed.{framework}").mixed
            self.model = mixed(self.model, case, computed_in(dtype))
        self.params = {name: self.array(value) for name, value in sorted(case.params.items())}
        self.data = {
            name: self.array(value)
            for name in ("x", "tokens", "mask", "labels", "directions")
            if (value := getattr(case, name)) is not None
        }
        self.extra = {name: self.array(value) for name, value in case.extra.items()}

    def array(self, value: Any) -> Array:
        """A framework's array: floating-point numbers take the problem's dtype, whole ones that of its own losses."""
        value = np.asarray(value)
        if value.dtype.kind == "f":
            value = value.astype(np.float32 if self.held_in == "bfloat16" else self.held_in)  # NumPy has no bfloat16
        elif value.dtype.kind == "i":
            value = value.astype(np.promote_types(value.dtype, self.bridge.INTEGERS))
        array = self.bridge.from_numpy(value, self.device)
        return self.bridge.cast(array, "bfloat16") if value.dtype.kind == "f" and self.held_in == "bfloat16" else array

    def in_dtype(self, dtype: str) -> "Problem":
        """State the problem in another precision."""
        return Problem(self.case, self.bridge, self.methods, dtype, self.device)

    def tiled(self, copies: int) -> "Problem":
        """Repeat the problem's batch, so that one call evaluates a method with many arguments a sample."""
        return Problem(self.case.tiled(copies), self.bridge, self.methods, self.dtype, self.device)

    @property
    def arrays(self) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
        """Everything that a compiled function takes, so that another case of the same shapes can take its place."""
        return self.params, self.data, self.extra

    def at(self, params: Mapping[str, Array], data: dict[str, Array], extra: dict[str, Array]) -> Point:
        """The closures at the given parameters. Behind an embedding, x is its output and depends on them."""
        model, low = self.model, self.case.loss == "value"
        x = self.models.embed(params[str(self.case.table)], data["tokens"]) if "tokens" in data else data["x"]
        masks = (data["mask"],) if "mask" in data else ()

        def f(x: Array) -> Array:
            return model(params, x, *masks, **self.case.options)

        def loss(x: Array) -> Array:
            outputs = f(x)
            return outputs[:, 0] if low else self.methods.cross_entropy(outputs, data["labels"])

        def of_params(params: Mapping[str, Array]) -> Array:
            moved = self.at(params, data, extra)
            return moved.loss(moved.x)

        def of_table(table: Array) -> Array:
            return of_params({**params, str(self.case.table): table})

        def of_sparse_table(table: Array) -> Array:
            return loss(self.models.embed(table, data["tokens"], sparse=True))

        tables, named = (of_table, of_sparse_table), SimpleNamespace(**extra)
        return Point(f, loss, x, data["labels"], named, self.case, params, of_params, *tables, data.get("directions"))

    def low_dimensional(self, point: Point) -> Point:
        """State the point in coordinates (B, m) along the case's directions, where it has them."""
        if point.directions is None:
            return point

        def move(c: Array) -> Array:
            return self.models.shift(point.x, point.directions, c)

        zeros = self.array(np.zeros((self.case.batch, len(self.case.directions))))  # type: ignore[arg-type]
        return replace(point, f=lambda c: point.f(move(c)), loss=lambda c: point.loss(move(c)), x=zeros)

    def program(
        self, objectives: Mapping[str, Callable[[Point], Array]], mode: str = ""
    ) -> Callable[["Problem"], Evaluated]:
        """objective(point) (*shape) and the gradient of its mean in the parameters (P,), by name; compiled as one.

        In the framework's mode for a single call, or another one. What comes back takes this problem, or another one
        whose arrays have the same names, shapes and dtypes.
        """

        def steps(params: dict[str, Array], data: dict[str, Array], extra: dict[str, Array]) -> dict[str, Any]:
            return {
                name: self.bridge.value_and_grad(lambda params, call=call: call(self.at(params, data, extra)))(params)
                for name, call in objectives.items()
            }

        run = self.bridge.compiled(steps, mode or self.bridge.ONCE_MODE)

        def evaluate(problem: "Problem") -> Evaluated:
            return {
                name: (self.bridge.to_numpy(value), self.flat(gradient))
                for name, (value, gradient) in run(*problem.arrays).items()
            }

        return evaluate

    def evaluate(
        self, objective: Callable[..., Array], arguments: Sequence[Sequence[Any]] = ((),)
    ) -> tuple[np.ndarray, np.ndarray]:
        """objective(point, *arguments) and the gradient of its mean in the parameters, for each tuple of arguments.

        Compiled once for the whole sweep. Returns (S, *shape) and (S, P), P all parameters by sorted name.
        """

        def step(params: dict[str, Array], data: dict[str, Array], extra: dict[str, Array], *arrays: Array) -> Array:
            return objective(self.at(params, data, extra), *arrays)

        run = self.bridge.compiled(self.bridge.value_and_grad(step), self.mode(len(arguments)))
        results = [run(*self.arrays, *map(self.array, given)) for given in arguments]
        values = [self.bridge.to_numpy(value) for value, _ in results]
        return np.stack(values), np.stack([self.flat(gradient) for _, gradient in results])

    def rows(self, objective: Callable[..., Array], arguments: Sequence[Sequence[Any]]) -> np.ndarray:
        """What `evaluate` gives of an objective (B,), value and gradient side by side: (S, B + P)."""
        return np.concatenate(self.evaluate(objective, arguments), axis=1)

    def compile(self, function: Callable[..., Any], sweep: bool = True) -> Callable[..., Any]:
        """function(point, *arguments) at the case's parameters, with NumPy arrays in and out, any nest of them.

        Compiled for a sweep of many calls, or as a single call is best run.
        """

        def step(params: dict[str, Array], data: dict[str, Array], extra: dict[str, Array], *arrays: Array) -> Any:
            return function(self.at(params, data, extra), *arrays)

        run = self.bridge.compiled(step, self.mode(MANY if sweep else 1))
        return lambda *arguments: self.numpy(run(*self.arrays, *map(self.array, arguments)))

    def mode(self, calls: int) -> str:
        """The framework's mode in which so many calls of one function are soonest done."""
        return self.bridge.SWEEP_MODE if calls >= MANY else self.bridge.ONCE_MODE

    def numpy(self, result: Any) -> Any:
        """A nest of the framework's arrays as one of NumPy's."""
        if isinstance(result, dict):
            return {name: self.numpy(part) for name, part in result.items()}
        return tuple(map(self.numpy, result)) if isinstance(result, tuple | list) else self.bridge.to_numpy(result)

    def flat(self, gradient: dict[str, Array]) -> np.ndarray:
        """A gradient over all parameters in one vector, by sorted name."""
        return flat(self.numpy(gradient))


def flat(tree: dict[str, np.ndarray]) -> np.ndarray:
    """All parameters in one vector, by sorted name."""
    return np.concatenate([np.ravel(tree[name]) for name in sorted(tree)])
