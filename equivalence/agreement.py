"""Framework against oracle: a method's value and parameter gradient on the same numbers, in units of rounding.

The unit of an error is u·(size + condition): u the dtype's rounding unit, size the largest entry, condition how much
the oracle's own result moves, relative to the movement, when parameters, inputs, every evaluation of the model and
every log-probability are moved at random by a relative amount. An algorithm that rounds at every step cannot do better
than a few of these. What underflows is lost altogether: a unit is at least the smallest normal number η, as in
fl(x∘y) = (x∘y)(1 + δ) + η. So is a sum of squares off by η: in float32 the slope of a norm of 1e-30 is lost.

In half precision the movement is u itself. A unit is so large there that what bends, or jumps as a sign does, shows it
within one: the condition is that of a movement as large as rounding's, which a derivative at the point is not.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np

from equivalence import oracle
from equivalence.measure import ROUNDING_UNIT, not_covered, rounding_unit
from equivalence.problem import Problem
from equivalence.protocol import Complaint, NotCovered, describe_error
from equivalence.reference import Reference
from equivalence.usages import Usage
from impls import NotOffered

MOVEMENT, MOVES = 1e-6, 2
FEW = 2  # cases that are sooner measured without compiling for them
SMALLEST_NORMAL = {"float64": 2.0**-1022, "float32": 2.0**-126, "float16": 2.0**-14, "bfloat16": 2.0**-126}
UNDERFLOW = {unit: SMALLEST_NORMAL[dtype] for dtype, unit in ROUNDING_UNIT.items()}
Raw = Mapping[str, Any]
References = tuple[tuple[np.ndarray, np.ndarray], tuple[float, float]]  # value and gradient, and scales of errors
KEPT = 32  # signed errors that are stored, so that two frameworks can be compared without either of them


class Shaken(oracle.Model):
    """A model whose outputs are off by a fresh random amount at every evaluation."""

    def __init__(self, model: oracle.Model, rng: np.random.Generator, by: float):
        super().__init__(model.name, model.params, *model.masks, **model.options)
        self.rng, self.by = rng, by

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return shaken(super().__call__(x), self.rng, by=self.by)


def movement(unit: float) -> float:
    """The relative amount by which everything is moved, to see what becomes of rounding by that unit."""
    return max(MOVEMENT, unit)


def shaken(
    array: np.ndarray, rng: np.random.Generator, size: np.ndarray | float = 0.0, by: float = MOVEMENT
) -> np.ndarray:
    """Off by a relative amount, and at least by that of 1: sums in a model or a softmax have terms of that size.

    `size`: of further terms that cancel in it.
    """
    return array + (1 + size + abs(array)) * by * rng.choice([-1, 1], array.shape)


def shaken_logarithms(rng: np.random.Generator, by: float = MOVEMENT) -> AbstractContextManager[None]:
    """Within, the oracle's logarithms of probabilities are shaken, however an implementation may compute them."""
    return oracle.rounded(lambda log_p, logits: shaken(log_p, rng, logits, by))


def moved(reference: Reference, rng: np.random.Generator, by: float = MOVEMENT) -> Reference:
    """Move a case's parameters and inputs a little, and shake its model."""

    def move(array: np.ndarray) -> np.ndarray:
        return array * (1 + by * rng.choice([-1, 1], array.shape))

    case = reference.case
    params = {name: move(array) for name, array in case.params.items()}
    other = replace(case, params=params, x=None if case.x is None else move(case.x))
    return type(reference)(other, lambda f: Shaken(f, rng, by))


def expected_when_moved(
    usage: Usage, reference: Reference, rng: np.random.Generator, unit: float, by: float = MOVEMENT
) -> tuple[np.ndarray, np.ndarray]:
    """What the oracle gives where everything is a little off: near p = 1, 1 - p is only as good as p is.

    A movement stands for so many rounding units, and what underflows is magnified as they are.
    """
    with shaken_logarithms(rng, by), oracle.underflowed(UNDERFLOW[unit] * by / unit):
        return expected(usage, moved(reference, rng, by))


def sensitivity(
    usage: Usage,
    reference: Reference,
    exact: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
    unit: float,
    times: int = MOVES,
) -> list[float]:
    """How far value and gradient move at most, in movements. A derivative of high order bears small ones alone."""
    for by in dict.fromkeys((movement(unit), MOVEMENT)):
        try:
            others = [expected_when_moved(usage, reference, rng, unit, by) for _ in range(times)]
        except ArithmeticError:  # the oracle's series does not converge on noise of that size
            if by == MOVEMENT:
                raise
        else:
            return [max(float(np.abs(other[i] - exact[i]).max()) for other in others) / by for i in (0, 1)]
    raise AssertionError("a movement was tried")


def expected(usage: Usage, reference: Reference) -> tuple[np.ndarray, np.ndarray]:
    """Value (B,) and parameter gradient (P,) by the oracle."""
    return usage.value(reference.point), reference.total(usage.gradient(reference.point))


@functools.lru_cache(maxsize=256)  # of the same reference: planted mistakes are held against the same numbers
def references(usage: Usage, reference: Reference, unit: float) -> References:
    """What the oracle expects, and the scale of an error in value and gradient, for a rounding unit."""
    rng = np.random.default_rng(0)
    exact = expected(usage, reference)
    moves = sensitivity(usage, reference, exact, rng, unit)
    value, gradient = (float(np.abs(each).max()) + move for each, move in zip(exact, moves, strict=True))
    return exact, (value, gradient)


def measure(
    problems: Sequence[Problem], references_to: Sequence[Reference], usages: Sequence[Usage], mode: str = ""
) -> dict[str, dict[str, dict[str, Any]]]:
    """Map case and usage to the signed errors of value and gradient in units of rounding, or to what it raised."""
    found, unit = run(problems, usages, mode), rounding_unit(problems[0].dtype)
    return {
        problem.case.name: {
            usage.name: measurement(
                found[problem.case.name][usage.name], references(usage, reference, unit), problem.dtype
            )
            for usage in usages
        }
        for problem, reference in zip(problems, references_to, strict=True)
    }


def run(problems: Sequence[Problem], usages: Sequence[Usage], mode: str = "") -> dict[str, dict[str, Raw]]:
    """Map case and usage to value and gradient as lists, or to what it raised: nothing of the oracle is in them.

    The problems' arrays have the same shapes: all usages are compiled as one, once for all cases. In a mode of the
    framework; in the one in which so many cases are soonest done, if none is named.
    """
    first, evaluated = problems[0], []
    calls = {usage.name: functools.partial(usage.call, first.methods) for usage in usages}
    try:
        program = first.program(calls, mode or (first.bridge.SWEEP_MODE if len(problems) > FEW else ""))
        evaluated = [program(problem) for problem in problems]
    except Exception:  # in one of the usages: find out which
        evaluated = [one_by_one(problem, calls, mode) for problem in problems]
    return {
        problem.case.name: {name: raw(each) for name, each in found.items()}
        for problem, found in zip(problems, evaluated, strict=True)
    }


def one_by_one(problem: Problem, calls: Mapping[str, Callable[..., Any]], mode: str) -> dict[str, Any]:
    """What each usage gives, or the exception that it raises: whatever an implementation raises is its own failure."""
    found: dict[str, Any] = {}
    for name, call in calls.items():
        try:
            found |= problem.program({name: call}, mode)(problem)
        except Exception as error:
            found[name] = error
    return found


def raw(found: Any) -> Raw:
    """What came of a usage, as a worker can hand it on."""
    if isinstance(found, NotCovered | NotOffered):
        return {"not covered": describe_error(found)}
    if isinstance(found, Exception):
        return {"error": describe_error(found)}
    value, gradient = found
    return {"value": value.tolist(), "gradient": gradient.tolist()}


def measurement(found: Raw, expected: References, dtype: str) -> dict[str, Any]:
    """Raw numbers compared with what `references` gave: a measurement, or the error that was raised."""
    if "error" in found:
        return dict(found)
    if "not covered" in found:
        return not_covered(found["not covered"])
    try:
        got = np.asarray(found["value"], np.float64), np.asarray(found["gradient"], np.float64)
        shapes = [array.shape for array in got], [array.shape for array in expected[0]]
        if shapes[0] != shapes[1]:
            raise Complaint(f"value and θ-gradient have the shapes {shapes[0]}, expected {shapes[1]}")
        return compare(got, *expected, rounding_unit(dtype))
    except Exception as error:  # numbers that cannot be compared are the fault of the code that they come from
        return {"error": describe_error(error)}


def compare(
    got: tuple[np.ndarray, np.ndarray],
    exact: tuple[np.ndarray, np.ndarray],
    scales: tuple[float, float],
    unit: float,
) -> dict[str, Any]:
    """Signed errors of value and gradient in units of rounding: the largest of each, and up to KEPT of them."""
    scales = (scales[0] + UNDERFLOW[unit] / unit, scales[1] + UNDERFLOW[unit] / unit)
    value, gradient = (
        (np.asarray(mine, np.float64) - want) / (unit * scale)
        for mine, want, scale in zip(got, exact, scales, strict=True)
    )
    return {
        "kind": "agreement",
        "value": np.ravel(value).tolist(),
        "gradient": gradient[np.linspace(0, len(gradient) - 1, min(KEPT, len(gradient))).astype(int)].tolist(),
        "worst gradient": float(np.abs(gradient).max()),
        "rounding unit": unit,
        "condition": [scale / float(np.abs(want).max() or 1) for want, scale in zip(exact, scales, strict=True)],
    }
