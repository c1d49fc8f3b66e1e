"""The judge of the atlas: what a derivative is, from values alone, and which word a framework's own deserves.

Differences at shrinking steps are extrapolated to step 0 (Ridders, Advances in Engineering Software 1982). Of all
extrapolations the one counts that its neighbours agree with best, and their disagreement is how far it is trusted:
large steps leave other derivatives, small ones leave rounding. Neighbours may agree by chance, and so none is trusted
further than the rounding of the values that it is made of.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Values = Callable[[np.ndarray], np.ndarray]  # (points, n) -> (points,)

RIGHT, WRONG, ZERO, RAISES, NONE = "right", "wrong", "silent zero", "raises", "not differentiable"
UNDECIDED = "not decided"  # the judge itself cannot tell: another input is needed
HURTS = (WRONG, ZERO)  # a wrong number that nobody is told of
WORDS = (WRONG, ZERO, RAISES, NONE, UNDECIDED, RIGHT)

STEPS = 0.1 * 0.5 ** np.arange(8)
DEEPEST = 4  # times that a difference is extrapolated: beyond, rounding grows
TOLERANCE = {"float64": 1e-6, "float32": 1e-2}  # relative; a term that is missing leaves more than a percent
TRUST = 30  # times the judge's own uncertainty
LARGEST = {"float64": 1e-4, "float32": 5e-2}  # of what is allowed by it: beyond, nothing is said


@dataclass(frozen=True)
class Estimate:
    """A derivative, and how far it is trusted."""

    value: float
    error: float


def derivative(values: Values, x: np.ndarray, directions: Sequence[np.ndarray]) -> Estimate:
    """The mixed derivative along one to three directions, by central differences of values alone."""
    signs = np.array(list(itertools.product((1, -1), repeat=len(directions))))
    moves = signs @ np.array(directions)
    points = x + STEPS[:, None, None] * moves
    found = np.asarray(values(points.reshape(-1, x.size))).reshape(len(STEPS), len(signs))
    product = (2 * STEPS) ** len(directions)
    rounding = np.finfo(found.dtype).eps / 2 * np.sqrt(np.square(found).sum(1)) / product
    return extrapolated((found * signs.prod(1)).sum(1) / product, rounding)


def extrapolated(differences: np.ndarray, rounding: np.ndarray) -> Estimate:
    """What differences with an error in even powers of the step tend to, each step half of the one before.

    rounding: of each difference, half a unit in each of its values.
    """
    best = Estimate(math.nan, math.inf)
    before: list[float] = []
    for difference, least in zip(map(float, differences), map(float, rounding), strict=True):
        row = [difference]
        for depth, coarse in zip(range(1, DEEPEST + 1), before, strict=False):
            finer = row[-1] + (row[-1] - coarse) / (4**depth - 1)
            error = max(abs(finer - row[-1]), abs(finer - coarse), least)
            if error < best.error:  # never where a number is none
                best = Estimate(finer, error)
            row.append(finer)
        before = row
    return best


def gradient(values: Values, x: np.ndarray) -> np.ndarray:
    """All first derivatives."""
    return np.array([derivative(values, x, [unit]).value for unit in np.eye(x.size)])


def slopes(values: Values, x: np.ndarray, direction: np.ndarray, step: float = 1e-6) -> tuple[float, float]:
    """The derivatives on either side of a kink, to a few digits."""
    below, here, above = values(np.stack([x - step * direction, x, x + step * direction]))
    return float((here - below) / step), float((above - here) / step)


def word(found: float, expected: Estimate, scale: float, dtype: str) -> tuple[str, float]:
    """The word for one number, and its relative error. The scale is the size of what is judged, over directions."""
    allowed = max(TOLERANCE[dtype], TRUST * expected.error / scale)
    if not math.isfinite(expected.value) or not allowed <= LARGEST[dtype]:
        return UNDECIDED, math.nan
    off = abs(found - expected.value) / scale
    return (RIGHT if off <= allowed else WRONG), off  # NaN is not right
