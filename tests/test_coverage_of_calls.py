"""Calls meet everything that the contract's annotations allow: a new option or argument is demanded here by itself."""

import functools
import inspect
import itertools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest

from equivalence import oracle
from equivalence.calls import calls
from equivalence.cases import build
from equivalence.foreign.loading import stubs
from equivalence.reference import Reference
from impls.checks import rule
from impls.contract.types import Count, Interval, Shape

MANY, WIDE = 7, 16
SAMPLES = ("2 axes", "3 axes", "4 axes", "5 axes", "one sample", "single numbers", "n < B", "wide")
DRAWS = ("one draw", "some draws", "many draws")
# At the default ξ rounding turns a difference by half of its digits: claim D3 measures what is left of the direction.
DEFAULT_STEP = {("xi None", "how finite_difference")}
ELSEWHERE = {"vat_perturbation": DEFAULT_STEP, "vat_loss": DEFAULT_STEP}


def wanted(parameter: inspect.Parameter) -> tuple[str, ...]:
    """What calls must have of an argument, by its annotation: one each of these words."""
    asked = rule(parameter.annotation)
    optional = isinstance(asked, tuple)
    asked = asked[0] if optional else asked
    given = ("None", "given") if optional else ()
    if get_origin(asked) is Literal:
        return get_args(asked)
    if parameter.annotation is bool:
        return "True", "False"
    if isinstance(asked, Count):
        return str(asked.lowest), "many"
    if isinstance(asked, Interval) and not optional:
        return ("lowest", "inside") if asked.lowest == 0 and asked.open != "low" else ("inside",)
    if isinstance(asked, Shape):
        sizes = asked.sizes.split()
        return (*given, *(SAMPLES if sizes == ["B", "*S"] else DRAWS if sizes[0] == "K" else ()))
    return given


def found(parameter: inspect.Parameter, value: Any) -> Iterator[str]:
    """Which of these words a value is."""
    asked = rule(parameter.annotation)
    asked = asked[0] if isinstance(asked, tuple) else asked
    if value is None:
        yield "None"
        return
    yield "given"
    if isinstance(value, str | bool):
        yield str(value)
    elif isinstance(asked, Count):
        yield "many" if value >= MANY else str(value)
    elif isinstance(asked, Interval):
        yield "lowest" if value == asked.lowest else "inside"
    elif isinstance(asked, Shape) and asked.sizes == "B *S":
        batch, n = len(value), int(np.prod(value.shape[1:]))
        yield f"{value.ndim} axes"
        said = {"one sample": batch == 1, "single numbers": n == 1, "n < B": n < batch, "wide": n >= WIDE}
        yield from (words for words, holds in said.items() if holds)
    elif isinstance(asked, Shape) and asked.sizes.startswith("K"):
        yield "one draw" if len(value) == 1 else "many draws" if len(value) >= MANY else "some draws"


def options(stub: Any) -> dict[str, tuple[str, ...]]:
    """What may be chosen beside the arrays: the options that are words, switches, or given or not."""
    asked = inspect.signature(stub).parameters
    chosen = {name: [word for word in wanted(p) if word not in (*SAMPLES, *DRAWS)] for name, p in asked.items()}
    numbers = {name for name, p in asked.items() if isinstance(rule(p.annotation), Count | Interval)}
    return {name: tuple(words) for name, words in chosen.items() if len(words) > 1 and name not in numbers}


def demanded(name: str) -> set[tuple[str, ...]]:
    """What calls of a function must have: each word of each argument, and each pair of two options' words."""
    asked = inspect.signature(stubs()[name]).parameters
    single = {(f"{argument} {word}",) for argument, p in asked.items() for word in wanted(p)}
    pairs = itertools.combinations(options(stubs()[name]).items(), 2)
    return single | {
        (f"{first} {one}", f"{second} {other}")
        for (first, ones), (second, others) in pairs
        for one, other in itertools.product(ones, others)
    }


@functools.cache
def met() -> dict[str, set[tuple[str, ...]]]:
    """What calls have, by function: single words, and pairs that come in one call."""
    seen: dict[str, set[tuple[str, ...]]] = {name: set() for name in stubs()}

    def watched(name: str, method: Any) -> Any:
        signature = inspect.signature(stubs()[name])

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            words = [
                f"{argument} {word}"
                for argument, value in given.arguments.items()
                for word in found(signature.parameters[argument], value)
            ]
            seen[name] |= {(word,) for word in words} | set(itertools.combinations(words, 2))
            return method(*args, **kwargs)

        return call

    own = {name: watched(name, method) for name, method in vars(oracle.values).items() if name in seen}
    methods = SimpleNamespace(**(vars(oracle.values) | own))
    points = {case: Reference(build([case])[case]).point for case in {call.case for call in calls().values()}}
    for call in calls().values():
        call.call(methods, points[call.case])
    return seen


@pytest.mark.parametrize("name", sorted({call.method for call in calls().values()}))
def test_calls_meet_what_the_contract_allows(name):
    missing = demanded(name) - met()[name] - ELSEWHERE.get(name, set())
    assert not missing, "\n".join(" with ".join(cell) for cell in sorted(missing))
