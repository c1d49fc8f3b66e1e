"""Functions of published packages in the places of the contract's: one file a package and framework.

A file imports neither its package nor its framework before one of its functions is called, so that the registry can be
read where nothing is installed. `witnesses` has scripts on a package and NumPy alone, for what is wrong.
"""

import functools
import importlib
import pkgutil
from pathlib import Path

from equivalence.published.package import Adapter, Package

WITNESSES = Path(__file__).parent / "witnesses"


@functools.cache
def packages(framework: str) -> dict[str, Package]:
    """The packages that a framework has, by name of the distribution."""
    folder = importlib.import_module(f"{__name__}.{framework}")
    modules = [
        importlib.import_module(f"{folder.__name__}.{info.name}") for info in pkgutil.iter_modules(folder.__path__)
    ]
    return {module.PACKAGE.name: module.PACKAGE for module in modules}


def adapters(framework: str) -> dict[str, Adapter]:
    """Every adapter, by package and function."""
    found = [adapter for package in packages(framework).values() for adapter in package.adapters]
    named = {adapter.name: adapter for adapter in found}
    if len(named) < len(found):
        raise RuntimeError(f"{framework}: two adapters have one name")
    return named


def witness(name: str) -> Path:
    """The script of a name."""
    return WITNESSES / f"{name}.py"


def written_in(framework: str, package: str, function: str) -> tuple[str, ...]:
    """Name the files that one function's measurement rests on: its adapter's, and its witness's if it has one."""
    for adapter in adapters(framework).values():
        if (adapter.package.name, adapter.function) == (package, function):
            return tuple(filter(None, (adapter.place[0].rpartition(".")[2], adapter.witness)))
    return ()
