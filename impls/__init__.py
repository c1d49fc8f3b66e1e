"""Parallel reference implementations, one folder a framework. Importing this package imports no framework."""

import importlib
import importlib.util
from types import ModuleType, SimpleNamespace

from impls.contract import MODULES

FRAMEWORKS = ("torch", "jax", "tensorflow")


def installed() -> list[str]:
    """The frameworks that can be imported here; none of them is imported to find out."""
    return [name for name in FRAMEWORKS if importlib.util.find_spec(name) is not None]


def load(framework: str) -> ModuleType:
    """The framework's bridge, `impls.<framework>`. Imports the framework: one a process."""
    if framework not in FRAMEWORKS:
        raise ValueError(f"framework: got {framework!r}, expected one of {', '.join(FRAMEWORKS)}")
    return importlib.import_module(f"impls.{framework}")


def methods(framework: str) -> SimpleNamespace:
    """Every method of the contract in one flat namespace: `methods("jax").fgm`."""
    namespace = {}
    for module in MODULES:
        stubs = importlib.import_module(f"impls.contract.{module}")
        implementation = importlib.import_module(f"impls.{framework}.{module}")
        names = [name for name, stub in vars(stubs).items() if getattr(stub, "__module__", None) == stubs.__name__]
        namespace.update({name: getattr(implementation, name) for name in names})
    return SimpleNamespace(**namespace)
