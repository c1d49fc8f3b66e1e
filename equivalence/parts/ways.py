"""Several ways to the same number: each of them against the oracle, in value and parameter gradient."""

from collections.abc import Callable, Iterator, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

from equivalence.agreement import compare, references
from equivalence.claim import Methods, Replacement
from equivalence.measure import ROUNDING_UNIT
from equivalence.problem import Point, Problem
from equivalence.reference import Reference
from equivalence.usages import Usage


def agree(
    problem: Problem,
    reference: Reference,
    number: str,
    call: Callable[[Any, Point], Any],
    ways: Mapping[str, Callable[[Point], Any]],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Measure that all ways give one number, to rounding as its condition amplifies it.

    Args:
        problem: in a framework.
        reference: the same, for the oracle.
        number: what it is called.
        call: (methods, point) -> (B,), once with the oracle's values and once with its pullbacks.
        ways: objectives point -> (B,) by name, compiled as one.
    """
    unit = ROUNDING_UNIT[problem.dtype]
    exact, scales = references(Usage(number, number, call), reference, unit)
    found = problem.program(ways)(problem)
    for way in ways:
        yield f"{number} {way}", compare(found[way], exact, scales, unit)


def scaled(method: str, how: str, factor: float) -> Replacement:
    """A wrong variant: one of a method's ways is off by a factor."""

    def replace(m: SimpleNamespace, bridge: ModuleType) -> Methods:
        def wrong(loss: Any, x: Any, **options: Any) -> Any:
            return (factor if options.get("how") == how else 1) * getattr(m, method)(loss, x, **options)

        return {method: wrong}

    return replace
