"""Planted mistakes, and the registry: every module in `equivalence/mutants`, and the wrong variants of every claim."""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from equivalence.claim import Claim, Methods, Replacement, claims

CASE = "tanh-mlp"  # on which most mistakes show


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
    called: bool = False  # whether it shows in calls of the function by itself that nothing else makes
    case: str = CASE  # on which the agreement with the oracle is measured: one where the mistake shows
    claims: tuple[str, ...] = ()  # that hold methods against themselves, and see it though no number is wrong
    alone: bool = False  # whether no others are asked, that call what it replaces with something else
    impossible: Mapping[str, str] = field(default_factory=dict, hash=False)  # by framework, why it cannot be made there

    @property
    def methods(self) -> frozenset[str]:
        """The names of what it replaces."""
        return frozenset(self.replace(Anything(), Anything()))  # type: ignore[arg-type]


def collect(into: list[Mutant], family: str) -> Callable[..., Callable[[Replacement], Replacement]]:
    """A decorator `(name, copies, …)` that adds what it stands over to a family's list."""

    def mistake(name: str, copies: str, **options: Any) -> Callable[[Replacement], Replacement]:
        def add(replace: Replacement) -> Replacement:
            into.append(Mutant(name, family, copies, replace, **options))
            return replace

        return add

    return mistake


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
    """All planted mistakes, by the families of `equivalence/mutants`."""
    package = importlib.import_module("equivalence.mutants")
    for info in pkgutil.iter_modules(package.__path__):
        yield from importlib.import_module(f"equivalence.mutants.{info.name}").MUTANTS


def own_controls() -> Iterator[Mutant]:
    """The wrong variants that claims name for themselves."""
    for claim in claims().values():
        for words, replace in claim.wrong.items():
            yield Mutant(control(claim, words), "control", f"wrong variant of claim {claim.id}", replace)


def control(claim: Claim, words: str) -> str:
    """The name of a claim's own wrong variant."""
    return f"{claim.id}: {words}"


class Anything(SimpleNamespace):
    """Stands for methods and bridge where only the names of the replacements are asked for."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return nothing


def nothing(*arguments: Any, **options: Any) -> None:
    """Computes nothing."""
