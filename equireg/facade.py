"""Where the names of `equireg.torch`, `equireg.jax` and `equireg.tensorflow` come from: the contract."""

import importlib
import importlib.util
from collections.abc import Callable
from inspect import isfunction
from typing import Any

from impls.contract import MODULES

OBJECTIVES = (  # what the one-liners stand on, where that is not the same function
    "adversarial_objective",
    "freelb_objective",
    "gradient_penalty_objective",
    "virtual_adversarial_objective",
)


def facade(framework: str, *idioms: str) -> tuple[list[str], Callable[[str], Any]]:
    """`__all__` and `__getattr__` of a framework's module: a method is imported when it is asked for.

    `idioms` are functions that train and that this framework alone has.

    Raises:
        ModuleNotFoundError: the framework is not installed.
    """
    if importlib.util.find_spec(framework) is None:
        raise ModuleNotFoundError(
            f"equireg.{framework}: {framework} is not installed: pip install 'equireg[{framework}]'", name=framework
        )
    homes = {name: module for module in (*MODULES, "training") for name in stubs(module)}
    homes |= dict.fromkeys(idioms, "training")

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module 'equireg.{framework}' has no attribute {name!r}")
        return getattr(importlib.import_module(f"impls.{framework}.{homes[name]}"), name)

    return sorted(homes), get


def stubs(module: str) -> list[str]:
    """The functions of a module of the contract."""
    contract = importlib.import_module(f"impls.contract.{module}")
    return [name for name, stub in vars(contract).items() if isfunction(stub) and stub.__module__ == contract.__name__]
