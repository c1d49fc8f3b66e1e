"""Derivatives by differences along a line, in float64, with the step chosen by how well neighbouring steps agree.

A difference of fourth order is wrong by h⁴ and by rounding's u/h. Along a ladder of steps the first falls and the
second rises; where two neighbours agree best, their distance says how far the value is to be trusted, but never
further than the rounding of what it is made of, since they may agree by chance. A kink of the model within a step shows
in the same way. Nothing here knows a derivative that it is to be held against.
"""

import itertools
import math
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


def along(
    function: Callable[[float], Mapping[str, Any]], steps: tuple[float, ...], unit: float = 0.0
) -> dict[str, Settled]:
    """The derivative at 0 of every array that a function of one number returns, by name.

    Args:
        unit: the rounding unit of what is computed inside, where that is coarser than the arrays' own.
    """
    found: dict[str, list[np.ndarray]] = {}
    rounding: dict[str, list[float]] = {}
    for step, shorter in zip(steps, [*steps[1:], 0.0], strict=True):
        values = [function(knot * step) for knot in KNOTS]
        for name in values[0]:
            total, lost = weighted_sum([value[name] for value in values], WEIGHTS, unit)
            found.setdefault(name, []).append(total / step)
            rounding.setdefault(name, []).append(lost / step)
        if shorter and all(is_settled(found[name], rounding[name], step / shorter) for name in found):
            break
    return {name: settle(found[name], rounding[name], steps) for name in found}


def weighted_sum(values: list[Any], weights: tuple[float, ...], unit: float) -> tuple[np.ndarray, float]:
    """Σ weight·value, and what half a unit in the last place of every value adds up to in it."""
    arrays = [np.asarray(value) for value in values]
    half = max(unit, float(np.finfo(np.result_type(*arrays, np.float16)).eps) / 2)
    terms = [weight * array.astype(float) for weight, array in zip(weights, arrays, strict=True)]
    return np.asarray(sum(terms)), half * math.sqrt(sum(float(np.square(term).sum()) for term in terms))


def is_settled(estimates: list[np.ndarray], rounding: list[float], shorter: float) -> bool:
    """Whether no shorter step can do better: two agree to all digits that count, or better than rounding will let them.

    Args:
        shorter: how many times shorter the next step is, by which rounding grows.
    """
    if len(estimates) < 2:
        return False
    enough = ENOUGH * float(np.linalg.norm(estimates[-1]))
    return distance(*estimates[-2:]) <= enough or min(disagreements(estimates, rounding)) <= shorter * rounding[-1]


SECOND_KNOTS, SECOND_WEIGHTS = (-2, -1, 0, 1, 2), (-1 / 12, 16 / 12, -30 / 12, 16 / 12, -1 / 12)
SECOND_STEPS = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5)  # rounding grows as 1/h²


def second_along(function: Callable[[float], np.ndarray], unit: float = 0.0) -> Settled:
    """The second derivative at 0 of an array that a function of one number returns."""
    found: list[np.ndarray] = []
    rounding: list[float] = []
    for step, shorter in zip(SECOND_STEPS, [*SECOND_STEPS[1:], 0.0], strict=True):
        total, lost = weighted_sum([function(knot * step) for knot in SECOND_KNOTS], SECOND_WEIGHTS, unit)
        found.append(total / step**2)
        rounding.append(lost / step**2)
        if shorter and is_settled(found, rounding, (step / shorter) ** 2):
            break
    return settle(found, rounding, SECOND_STEPS)


def settle(estimates: list[np.ndarray], rounding: list[float], steps: tuple[float, ...]) -> Settled:
    """Where two steps in a row agree best, as far as rounding lets them."""
    apart = disagreements(estimates, rounding)
    best = int(np.argmin(apart))
    return Settled(estimates[best + 1], apart[best], steps[best + 1])


def disagreements(estimates: list[np.ndarray], rounding: list[float]) -> list[float]:
    """How far each two estimates in a row are apart, and never less than rounding leaves."""
    return [max(distance(*both), lost) for both, lost in zip(itertools.pairwise(estimates), rounding[1:], strict=True)]


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """How far apart two estimates are; infinitely far where one is not finite."""
    apart = float(np.linalg.norm(np.ravel(a - b)))
    return apart if np.isfinite(apart) else float("inf")
