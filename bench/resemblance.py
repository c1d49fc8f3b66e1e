"""Which known mistake a wrong implementation is most like, by what fails and by how much. Pure: records in, names out.

Every planted mistake left a pattern in the kill matrix: of each check, a claim or a usage, whether it fails, and the
judge's numbers. A pattern is compared with another check by check, as far as mistakes were planted on them.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.mutants import DTYPE
from bench.store import AgreementRecord, ClaimRecord
from equivalence.claim import claims
from equivalence.judge import NOISE_MARGIN, judge, judge_all

ABSOLUTE = ("slope", "rate")  # compared as they are; all other numbers by their decades
NOISE = ("points", "noise", "largest step", "smallest step")  # say how it was measured, not what
UNKNOWN = 0.5  # distance of a check that one of the two was not measured on
ALIKE = 0.5  # share of the numbers in the distance of two checks that both fail
Check = tuple[str, ...]


@dataclass(frozen=True)
class Mark:
    """What became of one check: whether it failed, the judge's numbers, and signed errors where there are some."""

    fails: bool
    numbers: Mapping[str, float] = field(default_factory=dict)
    errors: np.ndarray = field(default_factory=lambda: np.empty(0))


Pattern = dict[Check, Mark]


@dataclass(frozen=True)
class Resemblance:
    """A known mistake, how far it is, 0 the same to 1, and of the checks that both were measured on how many agree."""

    mistake: str
    distance: float
    alike: int
    checks: int


def pattern(records: Iterable[Any]) -> Pattern:
    """Of one implementation in one framework, by check."""
    marks: Pattern = {}
    for record in records:
        if isinstance(record, ClaimRecord) and record.case == claims()[record.claim].control:
            marks["claim", record.claim] = mark(record)
        if isinstance(record, AgreementRecord) and record.dtype == DTYPE:
            marks["usage", record.usage, record.case] = mark(record)
    return marks


def mark(record: ClaimRecord | AgreementRecord) -> Mark:
    if record.status != "ok":
        return Mark(fails=True)
    if isinstance(record, ClaimRecord):
        verdict = judge_all(record.parts)
        return Mark(not verdict.holds, verdict.numbers | residuals(record.parts))
    verdict = judge(record.measurement)
    return Mark(not verdict.holds, verdict.numbers, signed(record.measurement))


def residuals(parts: Mapping[str, dict[str, Any]]) -> dict[str, float]:
    """What is left over at each step, above the noise: tells wrong orders apart, of which no slope can be fitted."""
    found: dict[str, float] = {}
    for name, part in parts.items():
        if part.get("kind") == "order":
            least = NOISE_MARGIN * max(part["tail"])
            pairs = zip(part["steps"], part["norms"], strict=True)
            found |= {f"{name}: residual at {step}": norm for step, norm in pairs if norm > least}
    return found


def signed(measurement: dict[str, Any]) -> np.ndarray:
    """The errors of value and θ-gradient in rounding units: against one oracle, so that they can be subtracted."""
    if not all(np.isfinite(np.asarray(measurement.get(name, math.nan))).all() for name in ("value", "gradient")):
        return np.empty(0)
    return np.concatenate([measurement["value"], measurement["gradient"]])


def distance(a: Mark, b: Mark) -> float:
    """0 where both hold; where both fail, how far their numbers are apart; 1 where one fails."""
    if a.fails != b.fails:
        return 1.0
    if not a.fails:
        return 0.0
    if a.errors.size and a.errors.shape == b.errors.shape:
        size = float(np.linalg.norm(a.errors) + np.linalg.norm(b.errors))
        return ALIKE * (float(np.linalg.norm(a.errors - b.errors)) / size if size else 0.0)
    shared = [
        apart(name, a.numbers[name], b.numbers[name])
        for name in a.numbers.keys() & b.numbers.keys()
        if not name.endswith(NOISE)
    ]
    if shared:
        return ALIKE * float(np.mean(shared))
    return ALIKE * (bool(a.numbers) != bool(b.numbers))  # two that gave no numbers are alike


def apart(name: str, a: float, b: float) -> float:
    """Of two numbers of a judge, 0 where they are equal to 1 where they differ by a decade, or by an order."""
    if not (math.isfinite(a) and math.isfinite(b)):
        return float(math.isfinite(a) != math.isfinite(b))
    if name.endswith(ABSOLUTE):
        return min(1.0, abs(a - b))
    if a == 0 or b == 0:
        return float(a != b)
    return min(1.0, abs(math.log10(abs(a / b))))


def nearest(own: Pattern, known: Mapping[str, Collection[Pattern]]) -> Resemblance | None:
    """The known mistake whose pattern, in any framework, is nearest; None where none is known.

    A check on which a mistake was not measured counts as half different: one that is known by a single check does not
    pass for one that is known by all of them.
    """
    planted = {check for patterns in known.values() for other in patterns for check in other}
    own = {check: found for check, found in own.items() if check in planted}
    found = [
        Resemblance(
            mistake,
            float(np.mean([distance(own[check], other[check]) if check in other else UNKNOWN for check in own])),
            sum(own[check].fails == other[check].fails for check in own.keys() & other.keys()),
            len(own.keys() & other.keys()),
        )
        for mistake, patterns in known.items()
        for other in patterns
        if own and own.keys() & other.keys()
    ]
    return min(found, key=lambda resemblance: resemblance.distance, default=None)
