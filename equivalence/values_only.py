"""A bridge without gradients in the parameters, for implementations that offer values alone."""

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any


def without_gradients(bridge: ModuleType) -> ModuleType:
    """The bridge, its values without their gradients: NaN, which no judge lets pass, stands for each number."""
    other = ModuleType(bridge.__name__, bridge.__doc__)
    vars(other).update(vars(bridge))

    def nothing(params: dict[str, Any]) -> dict[str, Any]:
        return {name: value * math.nan for name, value in params.items()}

    def value_and_grad(objective: Callable[..., Any]) -> Callable[..., tuple[Any, dict[str, Any]]]:
        def step(params: dict[str, Any], *arrays: Any) -> tuple[Any, dict[str, Any]]:
            return objective(params, *arrays), nothing(params)

        return step

    def values_and_grads(objective: Callable[..., Any]) -> Callable[..., list[tuple[Any, dict[str, Any]]]]:
        def step(params: dict[str, Any], *arrays: Any) -> list[tuple[Any, dict[str, Any]]]:
            return [(values, nothing(params)) for values in objective(params, *arrays)]

        return step

    vars(other).update(value_and_grad=value_and_grad, values_and_grads=values_and_grads)
    return other
