"""Framework against oracle: a method's value and parameter gradient on the same numbers, in units of rounding.

The unit of an error is u·(size + condition): u the dtype's rounding unit, size the largest entry, condition how much
the oracle's own result moves, relative to the movement, when parameters, inputs and every evaluation of the model are
moved at random by a relative amount. An algorithm that rounds at every step cannot do better than a few of these.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from equivalence import oracle
from equivalence.measure import ROUNDING_UNIT
from equivalence.problem import Problem
from equivalence.reference import Reference
from equivalence.usages import Usage

MOVEMENT, MOVES = 1e-6, 2
KEPT = 32  # signed errors that are stored, so that two frameworks can be compared without either of them


class Shaken(oracle.Model):
    """A model whose outputs are off by a fresh random amount at every evaluation, at least a softmax's own."""

    def __init__(self, model: oracle.Model, rng: np.random.Generator):
        super().__init__(model.name, model.params, *model.masks)
        self.rng = rng

    def __call__(self, x: np.ndarray) -> np.ndarray:
        outputs = super().__call__(x)
        return outputs + (1 + abs(outputs)) * MOVEMENT * self.rng.choice([-1, 1], outputs.shape)


def moved(reference: Reference, rng: np.random.Generator) -> Reference:
    """The same case with parameters and inputs moved, and a shaken model."""

    def move(array: np.ndarray) -> np.ndarray:
        return array * (1 + MOVEMENT * rng.choice([-1, 1], array.shape))

    case = reference.case
    params = {name: move(array) for name, array in case.params.items()}
    return Reference(replace(case, params=params, x=None if case.x is None else move(case.x)), lambda f: Shaken(f, rng))


def expected(usage: Usage, reference: Reference) -> tuple[np.ndarray, np.ndarray]:
    """Value (B,) and parameter gradient (P,) by the oracle."""
    return usage.value(reference.point), reference.total(usage.gradient(reference.point))


def references(usage: Usage, reference: Reference) -> tuple[tuple[np.ndarray, np.ndarray], tuple[float, float]]:
    """What the oracle expects, and the scale of an error in value and gradient."""
    rng = np.random.default_rng(0)
    exact = expected(usage, reference)
    others = [expected(usage, moved(reference, rng)) for _ in range(MOVES)]
    scales = tuple(
        float(np.abs(exact[i]).max() + max(np.abs(other[i] - exact[i]).max() for other in others) / MOVEMENT)
        for i in (0, 1)
    )
    return exact, scales  # type: ignore[return-value]


def measure(
    problems: Sequence[Problem], references_to: Sequence[Reference], usages: Sequence[Usage]
) -> dict[str, dict[str, dict[str, Any]]]:
    """By case and usage the signed errors of value and gradient in units of rounding, or the error that it raised.

    The problems' arrays have the same shapes: all usages are compiled as one, once for all cases.
    """
    first, evaluated = problems[0], []
    calls = {usage.name: functools.partial(usage.call, first.methods) for usage in usages}
    try:
        program = first.program(calls)
        evaluated = [program(problem) for problem in problems]
    except Exception:  # in one of the usages: find out which
        evaluated = [one_by_one(problem, calls) for problem in problems]
    return {
        problem.case.name: {
            usage.name: judged_by(reference, usage, found[usage.name], problem.dtype) for usage in usages
        }
        for problem, reference, found in zip(problems, references_to, evaluated, strict=True)
    }


def one_by_one(problem: Problem, calls: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    """What each usage gives, or the exception that it raises: whatever an implementation raises is its own failure."""
    found: dict[str, Any] = {}
    for name, call in calls.items():
        try:
            found |= problem.program({name: call})(problem)
        except Exception as error:
            found[name] = error
    return found


def judged_by(reference: Reference, usage: Usage, found: Any, dtype: str) -> dict[str, Any]:
    """The measurement of one usage, or the error that it raised."""
    try:
        if isinstance(found, Exception):
            raise found
        return compare(found, *references(usage, reference), ROUNDING_UNIT[dtype])
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def compare(
    got: tuple[np.ndarray, np.ndarray],
    exact: tuple[np.ndarray, np.ndarray],
    scales: tuple[float, float],
    unit: float,
) -> dict[str, Any]:
    """Signed errors of value and gradient in units of rounding: the largest of each, and up to KEPT of them."""
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
