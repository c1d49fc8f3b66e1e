"""Regimes compared with one another: paired differences over seeds, and p-values that allow for all that is shown.

The one rule for every table, figure and headline: what is compared together is a family, and a difference is said to be
there only where its p-value, allowed for the family's size (Holm 1979), is below 5 %.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from bench.records.schema import TrainingRecord
from bench.report.tables.entries import BAD, GOOD, NEUTRAL, NONE, NOT_MEASURED, Entry
from bench.train.plan import Comparison
from bench.train.statistics import CONFIDENCE, Estimate, equivalence, estimate, holm

LOWER_IS_BETTER = ("nll", "calibration_error", "elsewhere_nll")
NEITHER_IS_BETTER = ("confidence",)
IN_NATS = ("nll", "elsewhere_nll")
UNDECIDED = "no difference shown"
Runs = dict[int, TrainingRecord]  # by seed


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One comparison on one data set, in one framework: the runs of both regimes, and what they say."""

    comparison: Comparison
    dataset: str
    framework: str
    runs: Runs
    beside: Runs
    at_edge: bool = False  # whether the best of the strengths that were tried has no worse neighbour on one side
    allowed: float = math.nan  # the p-value, for all that is compared together

    @property
    def differences(self) -> list[float]:
        return differences(self.runs, self.beside, self.comparison.measure)

    @property
    def found(self) -> Estimate:
        return estimate(self.differences)

    @property
    def p(self) -> float:
        """Of no difference, or where equivalence is to be shown of a difference beyond the margin."""
        margin = self.comparison.margin
        return equivalence(self.differences, margin) if margin else self.found.p

    @property
    def shown(self) -> bool:
        """Whether the difference, or the equivalence, is there for all that is compared together."""
        return self.allowed <= 1 - CONFIDENCE


Each = TypeVar("Each", bound=Compared)


def allow(family: Sequence[Each], waiting: int = 0) -> list[Each]:
    """Fill in the p-values that allow for the whole family; `waiting` of it are not measured yet, and show nothing."""
    known = {str(place): each.p for place, each in enumerate(family)}
    allowed = holm(known | {f"-{number}": 1.0 for number in range(waiting)})
    return [replace(each, allowed=allowed[str(place)]) for place, each in enumerate(family)]


def differences(runs: Runs, beside: Runs, measure: str = "accuracy") -> list[float]:
    """Subtract the other regime's measure, for the seeds that both have and neither diverged with."""
    shared = [seed for seed in runs if seed in beside and {runs[seed].status, beside[seed].status} == {"ok"}]
    return [getattr(runs[seed], measure) - getattr(beside[seed], measure) for seed in sorted(shared)]


def last(runs: Sequence[TrainingRecord]) -> Runs:
    """Another search may have chosen another strength: its seeds are no part of the same mean."""
    newest = max(runs, key=lambda run: run.time)
    return {run.seed: run for run in runs if (run.strength, run.code) == (newest.strength, newest.code)}


def ended(records: Iterable[TrainingRecord], part: str) -> list[TrainingRecord]:
    """The runs that are judged on a part of the data, those that diverged among them."""
    return [record for record in records if record.part == part and record.status in ("ok", "diverged")]


def verdict(each: Compared) -> Entry:
    """What may be said, all that is compared together allowed for."""
    if each.allowed != each.allowed:
        return NOT_MEASURED
    if each.comparison.margin:
        return Entry("equivalent" if each.shown else "not shown to be equivalent")
    if not each.shown:
        return Entry(UNDECIDED, state=NEUTRAL)
    rises, measure = each.found.mean > 0, each.comparison.measure
    if measure in NEITHER_IS_BETTER:
        return Entry("higher" if rises else "lower", state=NEUTRAL)
    good = rises != (measure in LOWER_IS_BETTER)
    return Entry("better" if good else "worse", state=GOOD if good else BAD)


def difference(each: Compared) -> Entry:
    """The mean difference and its interval, in points or in nats."""
    return nats(each.found) if each.comparison.measure in IN_NATS else points(each.found)


def points(found: Estimate) -> Entry:
    """A difference of accuracy in points, with its interval."""
    return with_interval(found, 100, 2)


def nats(found: Estimate) -> Entry:
    """A difference of negative log-likelihoods, with its interval."""
    return with_interval(found, 1, 3)


def with_interval(found: Estimate, scale: float, digits: int) -> Entry:
    if not found.seeds:
        return NONE
    low, mean, high = (f"{scale * number:+.{digits}f}" for number in (found.low, found.mean, found.high))
    return Entry(mean + (f" ({low} to {high})" if found.high == found.high else ""), scale * found.mean)
