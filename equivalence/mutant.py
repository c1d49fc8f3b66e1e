"""Planted mistakes, and the registry: every module in `equivalence/mutants`, and the wrong variants of every claim."""

import functools
import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

from equivalence.claim import Methods, Replacement, claims


@dataclass(frozen=True)
class Mutant:
    """A mistake that real code made, or that is easily made, planted in the methods of any framework.

    `replace` takes the right methods and the bridge and returns wrong ones, most of them composed of right ones, under
    the contract's names and signatures.
    """

    name: str
    family: str
    copies: str  # where the mistake was made, or why it is plausible
    replace: Replacement

    @property
    def methods(self) -> frozenset[str]:
        """The names of what it replaces."""
        return frozenset(self.replace(Anything(), Anything()))  # type: ignore[arg-type]


def planted(methods: SimpleNamespace, replacements: Methods) -> SimpleNamespace:
    """The methods with some replaced."""
    return SimpleNamespace(**(vars(methods) | replacements))


@functools.cache
def mutants() -> dict[str, Mutant]:
    """All planted mistakes by name. Imports no framework."""
    found: dict[str, Mutant] = {}
    for mutant in [*published(), *own_controls()]:
        if mutant.name in found:
            raise RuntimeError(f"two planted mistakes are called {mutant.name!r}")
        found[mutant.name] = mutant
    return found


def published() -> Iterator[Mutant]:
    """Those of `equivalence/mutants`."""
    package = importlib.import_module("equivalence.mutants")
    for info in pkgutil.iter_modules(package.__path__):
        yield from importlib.import_module(f"equivalence.mutants.{info.name}").MUTANTS


def own_controls() -> Iterator[Mutant]:
    """The wrong variants that claims name for themselves."""
    for claim in claims().values():
        for name, replace in claim.wrong.items():
            yield Mutant(f"{claim.id}: {name}", "control", f"wrong variant of claim {claim.id}", replace)


class Anything(SimpleNamespace):
    """Stands for methods and bridge where only the names of the replacements are asked for."""

    def __getattr__(self, name: str) -> None:
        return None
