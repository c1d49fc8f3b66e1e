"""Parallel reference implementations, one folder a framework. Importing this package imports no framework."""

import importlib
import importlib.util
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

from impls.contract import MODULES
from impls.frameworks import DESCRIBED, FRAMEWORKS


class NotOffered(NotImplementedError):
    """A framework that is not complete yet lacks the function that was called."""


def installed() -> list[str]:
    """The frameworks that can be imported here; none of them is imported to find out."""
    return [name for name in FRAMEWORKS if importlib.util.find_spec(name) is not None]


def load(framework: str) -> ModuleType:
    """The framework's bridge, `impls.<framework>`. Imports the framework: one a process."""
    if framework not in FRAMEWORKS:
        raise ValueError(f"framework: got {framework!r}, expected one of {', '.join(FRAMEWORKS)}")
    return importlib.import_module(f"impls.{framework}")


def methods(framework: str) -> SimpleNamespace:
    """Every method of the contract in one flat namespace: `methods("jax").fgm`.

    What a framework lacks that says it is `partial` raises NotOffered when it is called; of others it is an error here.
    """
    namespace = {}
    for module in MODULES:
        stubs = importlib.import_module(f"impls.contract.{module}")
        place = f"impls.{framework}.{module}"
        names = [name for name, stub in vars(stubs).items() if getattr(stub, "__module__", None) == stubs.__name__]
        if DESCRIBED[framework].partial:
            found = vars(importlib.import_module(place)) if importlib.util.find_spec(place) else {}
            namespace.update({name: found.get(name) or lacking(f"{place}.{name}") for name in names})
        else:
            implementation = importlib.import_module(place)
            namespace.update({name: getattr(implementation, name) for name in names})
    return SimpleNamespace(**namespace)


def lacking(place: str) -> Callable[..., Any]:
    """Stand in for a function that is not written yet."""

    def method(*arguments: Any, **options: Any) -> NoReturn:
        raise NotOffered(f"{place} is not written yet")

    return method
