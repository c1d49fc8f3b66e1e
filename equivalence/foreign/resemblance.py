"""Which known mistake a foreign function makes: its errors beside those of planted mistakes, number by number.

The mistakes are planted here and now and measured by the checks that measured the function: what is stored of them may
be of other code, or nothing. Errors are signed, in rounding units × condition, against one oracle, so the same mistake
gives the same numbers, whoever made it. With another constant it gives the same numbers times a factor, to first order:
error(c) = c·a + c²·b + …, where a and b are the mistake's. What merely fails where a mistake fails is not like it.
"""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from equivalence import agreement
from equivalence.calls import measure as calling
from equivalence.judge import AGREEMENT_UNITS, NOISE_MARGIN
from equivalence.mutant import planted, published
from equivalence.problem import Problem
from equivalence.reference import known
from equivalence.state import Kept
from equivalence.usages import usages

# Two constants that differ by a tenth of what they change leave so much to second order. Of vectors that have nothing
# to do with each other, n numbers long, fewer than one in 10ⁿ⁻¹ are so nearly parallel; a factor beyond DECADE, which
# any mistake has to some other one, must be borne out as much better.
FIRST_ORDER = 0.1
DECADE = 10.0
BEND = 30.0  # times what is left within one check, the factor may vary among checks: what is linear has one factor
OPPOSITE = 3.0  # a mistake the other way round is as far as one that is three times as large
ASIDE = 0.3  # how far from a mistake's the direction of an error may be, where usages have told what it is
MOST = 0.5  # of the calls may turn another way, as an attack at its limit does
LEAST_NUMBERS = 4
Check = tuple[str, ...]  # how it is measured, and what
Measurement = Mapping[str, Any]


@dataclass(frozen=True)
class Signed:
    """Signed errors of a part of a check, and the rounding unit of what was computed."""

    values: np.ndarray
    unit: float

    @functools.cached_property
    def noise(self) -> float:
        """How much of each of them may be rounding: what is too large by far rounds by as much more."""
        return AGREEMENT_UNITS * (1 + self.unit * float(np.abs(self.values).max()))

    @functools.cached_property
    def loud(self) -> bool:
        """Whether they stand so far above rounding that their ratios mean something."""
        return float(np.abs(self.values).max()) > NOISE_MARGIN * self.noise

    @functools.cached_property
    def length(self) -> float:
        return float(np.linalg.norm(self.values))


Errors = Mapping[Check, Signed]  # by check and part, of everything that gave numbers


@dataclass(frozen=True)
class Likeness:
    """Errors are so many times those of a mistake, but for a relative deviation; 1 and 0: they are the same numbers."""

    ratio: float
    deviation: float


def errors(measured: Iterable[tuple[Check, Measurement]]) -> Errors:
    """The signed errors of value and gradient in measurements of agreement, where they are numbers."""
    return {
        (*check, part): Signed(values, measurement["rounding unit"])
        for check, measurement in measured
        for part in ("value", "gradient")
        if np.isfinite(values := np.ravel(np.asarray(measurement.get(part, math.nan), float))).all()
    }


def likeness(own: Errors, known: Errors) -> Likeness | None:
    """How errors are to a mistake's, over all that both have; None where they are not alike.

    Wherever there is an error it must be the mistake's times one factor, and where there is none the mistake must have
    none: to rounding or half of the digits if they are to be the same, else to first order. One factor for all usages,
    which are of one case. Calls come in many shapes, on which a factor may depend (a mean over so many classes): where
    usages tell what it is, and by a likely factor, each call may have a factor of its own, of the same sign.
    """
    shared = [name for name in own if name in known]
    loud = telling(own, known)
    if not loud:
        return None
    if all(apart(own[name], known[name], 1.0) <= math.sqrt(own[name].unit) for name in shared):
        return Likeness(1.0, 0.0)
    in_usages = [name for name in loud if name[0] == "usage"]
    told = in_usages if enough(own, in_usages) else loud
    ratio = factor(own, known, told)
    if not ratio:
        return None
    likely = 1 / DECADE <= abs(ratio) <= DECADE
    together = [name for name in shared if told is loud or name[0] == "usage" or not likely]
    deviation = max(apart(own[name], known[name], ratio) for name in together)
    most = FIRST_ORDER if likely else FIRST_ORDER / DECADE
    if told is loud:
        bends = [bend(own[name], known[name], ratio) for name in loud if own[name].values.size >= LEAST_NUMBERS]
        most = min(most, BEND * max(bends, default=math.inf) + math.sqrt(own[loud[0]].unit))
    rest = [bend(own[name], known[name], ratio) > ASIDE for name in shared if name not in together]
    if sum(rest) > MOST * len(rest):
        return None
    return Likeness(ratio, deviation) if deviation <= most else None


def factor(own: Errors, known: Errors, told: Sequence[Check]) -> float:
    """How many times a mistake's errors these are; each part counts the same, however large it is."""
    weights = {name: own[name].length ** -2 for name in told}
    along = sum(weights[name] * float(own[name].values @ known[name].values) for name in told)
    return along / sum(weights[name] * known[name].length ** 2 for name in told) if along else 0.0


def bend(own: Signed, known: Signed, ratio: float) -> float:
    """How far errors are from the multiple of a mistake's that is nearest to them in this part; of the ratio's sign."""
    if not (own.loud and known.length):
        return apart(own, known, ratio)
    along = float(own.values @ known.values) / known.length**2
    return apart(own, known, along) if along * ratio > 0 else math.inf


def enough(own: Errors, names: Iterable[Check]) -> bool:
    """Whether there are numbers enough to tell mistakes apart."""
    return sum(own[name].values.size for name in names) >= LEAST_NUMBERS


def telling(own: Errors, known: Errors) -> list[Check]:
    """What errors can be told from a mistake's by: the parts where there is one, if they hold numbers enough."""
    loud = [name for name in own if name in known and own[name].loud]
    return loud if enough(own, loud) else []


def apart(own: Signed, known: Signed, ratio: float) -> float:
    """How far errors are from so many times a mistake's, relative to the larger of the two; 0 within rounding."""
    if own.loud and not known.loud:
        return math.inf
    left, noise = np.abs(own.values - ratio * known.values), own.noise + abs(ratio) * known.noise
    if (left <= noise * (1 if own.loud else NOISE_MARGIN)).all():
        return 0.0
    return float(np.linalg.norm(left)) / max(own.length, abs(ratio) * known.length)


def nearest(alike: Mapping[str, Likeness]) -> dict[str, Likeness]:
    """Choose the nearest in size and direction of mistakes that are alike; several where their numbers are the same."""
    first = min(alike.values(), key=far, default=None)
    return {name: like for name, like in alike.items() if first and math.isclose(like.ratio, first.ratio, rel_tol=1e-6)}


def far(like: Likeness) -> float:
    """How far a mistake is: the factor, of which the other way round counts as one more, and what it leaves."""
    return abs(math.log(abs(like.ratio))) + math.log(OPPOSITE) * (like.ratio < 0) + like.deviation / FIRST_ORDER


def measure(
    bridge: ModuleType,
    methods: SimpleNamespace,
    device: str,
    function: str,
    found: Sequence[tuple[list[str], Measurement]],
) -> dict[str, Any]:
    """The known mistakes in a function that are nearest to what was found, by check; and how many are known.

    A mistake is measured check by check, and no further once it is not alike: what failed comes first in `found`.
    """
    framework = bridge.__name__.rpartition(".")[2]
    mistakes = [mutant for mutant in published() if function in mutant.methods and framework not in mutant.impossible]
    checks = [tuple(check) for check, _ in found]
    own = errors(zip(checks, (measurement for _, measurement in found), strict=True))
    alike: dict[str, Likeness] = {}
    for mutant in mistakes:
        used = planted(methods, mutant.replace(methods, bridge))
        if like := compared(own, checks, functools.partial(by_check, bridge, used, device)):
            alike[mutant.name] = like
    return {
        "known": len(mistakes),
        "alike": {name: [like.ratio, like.deviation] for name, like in nearest(alike).items()},
    }


def compared(own: Errors, checks: Iterable[Check], measured: Callable[[Check], Measurement]) -> Likeness | None:
    """How errors are to those that are measured now, check by check, until they are not alike."""
    known: dict[Check, Signed] = {}
    like = None
    for check in checks:
        known |= errors([(check, measured(check))])
        like = likeness(own, known)
        if like is None and telling(own, known):
            break
    return like


def by_check(bridge: ModuleType, methods: SimpleNamespace, device: str, check: Check) -> Measurement:
    """Measure a check with these methods."""
    kind, *place = check
    with Kept(bridge):  # a planted mistake may be one about the process, which the next check is measured in too
        return MEASURES[kind](bridge, methods, device, *place)


def by_usage(
    bridge: ModuleType, methods: SimpleNamespace, device: str, case: str, dtype: str, name: str
) -> Measurement:
    """Measure a usage: signed errors, or what it raised. Not compiled, which takes longer than one evaluation."""
    reference = known(case)
    problem = Problem(reference.case, bridge, methods, dtype, device)
    return agreement.measure([problem], [reference], [usages()[name]], bridge.MODES[0])[case][name]


def by_call(bridge: ModuleType, methods: SimpleNamespace, device: str, dtype: str, name: str) -> Measurement:
    """Measure one call of a function by itself, likewise."""
    found = calling.run_one(bridge, methods, device, dtype, name)
    return calling.judged(found, calling.expectations(name), calling.dtype_of(name, dtype))


MEASURES: dict[str, Callable[..., Measurement]] = {"usage": by_usage, "call": by_call}
