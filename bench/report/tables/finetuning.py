"""Comparisons that were planned before their runs: paired differences, p-values for all of them, and the articles'."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pandas as pd

from bench.records.schema import TrainingRecord
from bench.records.staleness import Codes
from bench.records.store import Latest, latest
from bench.report.tables.entries import BAD, GOOD, NONE, NOT_MEASURED, Entry, framed, mark, number
from bench.report.tables.outcomes import of_kind
from bench.report.tables.paired import (
    LOWER_IS_BETTER,
    NEITHER_IS_BETTER,
    Compared,
    Runs,
    allow,
    difference,
    ended,
    last,
    verdict,
)
from bench.train import study
from bench.train.datasets import DATASETS
from bench.train.plan import Plan, plans
from bench.train.statistics import Estimate, estimate

PLANNED_COLUMNS = (
    "plan", "data set", "framework", "compared", "measure", "strengths", "difference", "p", "verdict",
    "better in one run", "seeds",
)  # fmt: skip
STATED_COLUMNS = "claim", "article", "IFLYTEK", "TNEWS", "here", "p", "verdict"
WORDS = {
    "accuracy": "accuracy",
    "nll": "NLL",
    "confidence": "confidence",
    "calibration_error": "calibration error",
    "elsewhere_accuracy": "accuracy elsewhere",
    "elsewhere_nll": "NLL elsewhere",
    "pgd_accuracy": "accuracy under PGD-20",
    "noise_accuracy": "accuracy under noise",
}


@dataclass(frozen=True, kw_only=True)
class Measured(Compared):
    """A comparison that a plan asked for."""

    plan: str
    planned: Plan


def measured(records: Iterable[Any]) -> list[Measured]:
    """The comparisons of plans that have begun, with the p-values that their plans allow.

    A plan's comparisons are one family from its first run on: what is not measured yet counts as if it showed nothing.
    """
    records = of_kind(records, TrainingRecord)
    found: list[Measured] = []
    for name, plan in plans().items():
        for framework in dict.fromkeys(record.framework for record in records):
            own = [r for r in records if (r.framework, r.dtype) == (framework, plan.dtype)]
            datasets = plan.datasets or dict.fromkeys(r.dataset for r in own if r.dataset not in DATASETS)
            family = [each for data in datasets for each in compared(name, plan, data, framework, own)]
            found += allow(family, waiting=len(plan.comparisons) * len(datasets) - len(family))
    return found


def compared(name: str, plan: Plan, data: str, framework: str, records: Sequence[TrainingRecord]) -> list[Measured]:
    """The plan's comparisons on one data set, if it has begun: each of its regimes has a run that judges."""
    own = [record for record in records if record.dataset == data]
    if not set(plan.strengths) <= {r.regime for r in ended(own, "test")}:
        return []
    asked = study.following(plan, framework, (data,), "cpu", None)
    tried = [r for r in own if r.part == "validation" and r.seed in plan.tuning_seeds]
    found = []
    for comparison in plan.comparisons:
        strengths = study.chosen(asked, tried, comparison.chosen_by)
        pair = [
            judged(own, regime, strengths[data, regime], plan.seeds)
            for regime in (comparison.regime, comparison.beside)
        ]
        known = [r.strength for r in tried if r.regime == comparison.regime]
        at_edge = bool(known) and strengths[data, comparison.regime] in (min(known), max(known))
        if all(pair):
            found.append(
                Measured(
                    plan=name,
                    planned=plan,
                    comparison=comparison,
                    dataset=data,
                    framework=framework,
                    runs=pair[0],
                    beside=pair[1],
                    at_edge=at_edge,
                )
            )
    return found


def judged(records: Iterable[TrainingRecord], regime: str, strength: float, seeds: int) -> Runs:
    """The runs of a regime at the strength that was chosen."""
    runs = [r for r in ended(records, "test") if (r.regime, r.strength) == (regime, strength) and r.seed < seeds]
    return last(runs) if runs else {}


def unplanned(records: Iterable[Any]) -> Latest:
    """Records without the trainings of data sets that a plan is about."""
    records = latest(records)
    if UNPLANNED not in records.remembered:
        planned = {data for plan in plans().values() for data in plan.datasets}
        records.remembered[UNPLANNED] = latest(r for r in records if r.kind != "training" or r.dataset not in planned)
    found: Latest = records.remembered[UNPLANNED]
    return found


def planned_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a comparison, in the order of the plans."""
    return framed([row(each, code) for each in measured(records)], PLANNED_COLUMNS)


def row(each: Measured, code: Codes | None) -> tuple[str, ...]:
    comparison = each.comparison
    strengths = " – ".join(f"{next(iter(runs.values())).strength:g}" for runs in (each.runs, each.beside))
    return (
        each.plan,
        each.dataset,
        each.framework,
        f"{comparison.regime} – {comparison.beside}",
        WORDS[comparison.measure] + (f", within ± {100 * comparison.margin:g} points" if comparison.margin else ""),
        strengths + (", at an edge" if each.at_edge else ""),
        difference(each),
        number(each.allowed, ".2g"),
        verdict(each),
        in_one_run(each),
        mark(done(each), [*each.runs.values(), *each.beside.values()], code),
    )


def done(each: Measured) -> Entry:
    """How many of the planned seeds are there; as a number, their share."""
    return Entry(f"{each.found.seeds} of {each.planned.seeds}", each.found.seeds / each.planned.seeds)


def in_one_run(each: Measured) -> Entry:
    """How often one run with the regime, with a seed of its own, is better than one without; a tie counts half."""
    measure = each.comparison.measure
    if measure in NEITHER_IS_BETTER or each.comparison.margin:
        return NONE
    ours, theirs = (
        [getattr(r, measure) for r in runs.values() if r.status == "ok"] for runs in (each.runs, each.beside)
    )
    if not ours or not theirs:
        return NONE
    sign = -1 if measure in LOWER_IS_BETTER else 1
    won = [0.5 * ((sign * (one - other) > 0) + (sign * (one - other) >= 0)) for one, other in product(ours, theirs)]
    return number(100 * sum(won) / len(won), ".0f", " %")


@dataclass(frozen=True)
class Stated:
    """A statement of the articles, their figures, and which planned comparison decides it in which direction."""

    claim: str
    article: str
    iflytek: str
    tnews: str
    regime: str
    beside: str
    measure: str
    rises: bool | None  # None: it says that two are the same


SU, DSXIANGLI, UNTOLD = "Su, 对抗训练浅谈 and 泛化性乱弹", "小样本利器2 (DSXiangLi)", "no figure"
FGM, PENALTY, PLAIN = "fgm articles", "gradient penalty table", "plain"
STATED = (
    Stated("FGM raises accuracy", SU, "60.29 → 62.46", "56.58 → 57.66", FGM, PLAIN, "accuracy", True),
    Stated(
        "A gradient penalty raises accuracy", SU, "60.29 → 62.31", "56.58 → 57.81", PENALTY, PLAIN, "accuracy", True
    ),
    Stated("FGM and the penalty do basically the same", SU, "+0.15", "-0.15", FGM, PENALTY, "accuracy", None),
    Stated("FGM helps out of sample", DSXIANGLI, UNTOLD, UNTOLD, FGM, PLAIN, "elsewhere_accuracy", True),
    Stated("FGM lowers confidence", DSXIANGLI, UNTOLD, UNTOLD, FGM, PLAIN, "confidence", False),
    Stated(
        "With FGM probabilities are more reasonable", DSXIANGLI, UNTOLD, UNTOLD, FGM, PLAIN, "calibration_error", False
    ),
)
UNPLANNED = "unplanned"  # what is remembered of records
NEARLY = 1.25  # a factor that is no other time
VARIED = 1.5  # a factor between the ends of an interval: the runs shared their cores with other work
TWICE = "FGM takes twice the time of a step"


def stated_table(records: Iterable[Any]) -> pd.DataFrame:
    """The articles' statements about fine-tuning, a row a statement and data set that it was planned on."""
    rows, found = [], measured(records)
    for stated in STATED:
        for each in found:
            compared = each.comparison
            if (compared.regime, compared.beside, compared.measure) == (stated.regime, stated.beside, stated.measure):
                here = f"{place(each)}: {difference(each)}"
                said = number(each.allowed, ".2g")
                figures = stated.iflytek, stated.tnews
                rows.append((stated.claim, stated.article, *figures, here, said, confirmed(stated, each)))
    for each in timed(found):
        ratio = times(each)
        here = f"{place(each)}: {2**ratio.mean:.2f} × ({2**ratio.low:.2f} to {2**ratio.high:.2f})"
        rows.append((TWICE, SU, "2 ×", "2 ×", here, NONE, told(ratio)))
    return framed(rows, STATED_COLUMNS)


def place(each: Measured) -> str:
    return f"{each.plan}, {each.dataset}"


def confirmed(stated: Stated, each: Measured) -> Entry:
    """Whether the statement is shown here, or its opposite, or neither."""
    if each.allowed != each.allowed:
        return NOT_MEASURED
    if not each.shown:
        return Entry("not shown here")
    if stated.rises is None or stated.rises == (each.found.mean > 0):
        return Entry("confirmed here", state=GOOD)
    return Entry("the opposite here", state=BAD)


def timed(found: Iterable[Measured]) -> list[Measured]:
    """One comparison of FGM with plain training a plan and data set."""
    known = {(each.plan, each.dataset, each.framework): each for each in found
             if (each.comparison.regime, each.comparison.beside) == (FGM, PLAIN)}  # fmt: skip
    return list(known.values())


def times(each: Measured) -> Estimate:
    """The base-2 logarithm of how much longer a step takes, from medians of runs with the same seed."""
    shared = [s for s in each.runs if s in each.beside and {each.runs[s].status, each.beside[s].status} == {"ok"}]
    return estimate([math.log2(each.runs[seed].step / each.beside[seed].step) for seed in shared])


def told(ratio: Estimate) -> Entry:
    """Whether a step takes twice the time; an interval that holds 2 shows it only where it is short."""
    if ratio.low != ratio.low:
        return NOT_MEASURED
    if ratio.high - ratio.low > math.log2(VARIED):
        return Entry("times vary too much to say")
    if ratio.high < 1 or ratio.low > 1:
        return Entry("less" if ratio.high < 1 else "more")
    near = max(ratio.high - 1, 1 - ratio.low) < math.log2(NEARLY)
    return Entry("confirmed here", state=GOOD) if near else Entry("not shown here")
