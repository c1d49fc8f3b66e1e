"""Derivatives by differences along a line, in float64, with the step chosen by how well neighbouring steps agree.

A difference of fourth order is wrong by h⁴ and by rounding's u/h. Along a ladder of steps the first falls and the
second rises; where two neighbours agree best, their distance says how far the value is to be trusted. A
kink of the model within a step shows in the same way. Nothing here knows a derivative that it is to be held against.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

KNOTS, WEIGHTS = (-2, -1, 1, 2), (1 / 12, -8 / 12, 8 / 12, -1 / 12)
FINE = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6, 1e-7, 1e-8)  # in units of what is moved
FEW = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)  # down to where kinks are rare
ENOUGH = 1e-9  # relative
COARSE = (3e-1, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3)  # for float32


@dataclass(frozen=True)
class Settled:
    """A derivative along a line, and how far it is to be trusted, in the same units."""

    value: np.ndarray
    error: float
    step: float = 0.0  # that it was found with

    @property
    def size(self) -> float:
        return float(np.linalg.norm(self.value))


def ladder(dtype: str, quick: bool) -> tuple[float, ...]:
    """Steps for numbers of a dtype."""
    if dtype != "float64":
        return COARSE
    return FEW if quick else FINE


def along(function: Callable[[float], Mapping[str, Any]], steps: tuple[float, ...]) -> dict[str, Settled]:
    """The derivative at 0 of every array that a function of one number returns, by name."""
    found: dict[str, list[np.ndarray]] = {}
    for step in steps:
        values = [function(knot * step) for knot in KNOTS]
        for name in values[0]:
            total = sum(weight * np.asarray(value[name], float) for weight, value in zip(WEIGHTS, values, strict=True))
            found.setdefault(name, []).append(np.asarray(total / step))
        if all(map(is_settled, found.values())):  # smaller steps would only add rounding
            break
    return {name: settle(estimates, steps) for name, estimates in found.items()}


def is_settled(estimates: list[np.ndarray]) -> bool:
    """Whether the last two agree to as many digits as anything is held against."""
    return len(estimates) > 1 and distance(*estimates[-2:]) <= ENOUGH * float(np.linalg.norm(estimates[-1]))


SECOND_KNOTS, SECOND_WEIGHTS = (-2, -1, 0, 1, 2), (-1 / 12, 16 / 12, -30 / 12, 16 / 12, -1 / 12)
SECOND_STEPS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5)  # rounding grows as 1/h²


def second_along(function: Callable[[float], np.ndarray]) -> Settled:
    """The second derivative at 0 of an array that a function of one number returns."""
    found = []
    for step in SECOND_STEPS:
        values = [np.asarray(function(knot * step), float) for knot in SECOND_KNOTS]
        total = sum(weight * value for weight, value in zip(SECOND_WEIGHTS, values, strict=True))
        found.append(np.asarray(total / step**2))
    return settle(found, SECOND_STEPS)


def settle(estimates: list[np.ndarray], steps: tuple[float, ...]) -> Settled:
    """Where two steps in a row agree best."""
    apart = [distance(a, b) for a, b in itertools.pairwise(estimates)]
    best = int(np.argmin(apart))
    return Settled(estimates[best + 1], apart[best], steps[best + 1])


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """How far apart two estimates are; infinitely far where one is not finite."""
    apart = float(np.linalg.norm(np.ravel(a - b)))
    return apart if np.isfinite(apart) else float("inf")
