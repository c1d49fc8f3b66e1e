"""What a claim is, and the registry: every module in `equivalence/claims` that defines CLAIM."""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

from equivalence.problem import Problem
from equivalence.reference import Reference

Measurement = dict[str, Any]
Methods = dict[str, Callable[..., Any]]
Replacement = Callable[[SimpleNamespace, ModuleType], Methods]


@dataclass(frozen=True)
class Claim:
    """One statement of the theory and how to measure it.

    `measure` yields named parts, each a measurement that a judge of its kind decides; `methods` are all that it calls
    of the contract, and `by_case` those of a case on which some of them are not called. `wrong` names mistakes that are
    the claim's own to reject: given the methods and the bridge, each returns replacements; measured with them, on
    `control`, the claim must fail. `control` is the case that stands for the others where one is enough: for planted
    mistakes and in a quick run, which takes `quick` as well, cases for what the control cannot be asked. A claim that
    holds methods against themselves (`itself`) cannot see wrong numbers: only its own mistakes are planted in it.
    """

    id: str
    title: str
    formula: str
    source: str
    methods: tuple[str, ...]
    cases: tuple[str, ...]
    measure: Callable[[Problem, Reference], Iterator[tuple[str, Measurement]]]
    wrong: Mapping[str, Replacement]
    control: str
    itself: bool = False
    quick: tuple[str, ...] = ()
    by_case: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def about(self, case: str) -> frozenset[str]:
        """The methods that are called on a case: measuring it tells something of these alone."""
        return frozenset(self.by_case.get(case, self.methods))


@functools.cache
def claims() -> dict[str, Claim]:
    """All claims by id, in order. Imports no framework."""
    package = importlib.import_module("equivalence.claims")
    modules = [
        importlib.import_module(f"equivalence.claims.{info.name}") for info in pkgutil.iter_modules(package.__path__)
    ]
    found = [module.CLAIM for module in modules]
    if not found:
        raise RuntimeError("equivalence/claims defines no claim: an empty registry proves nothing")
    return {claim.id: claim for claim in sorted(found, key=lambda claim: (claim.id[0], int(claim.id[1:])))}
