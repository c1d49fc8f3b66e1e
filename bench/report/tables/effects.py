"""What regimes do for a model: measures over seeds, paired differences to plain training, and the articles' claims."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.costs.cells import FLOAT32, QUICK_MODE
from bench.records.schema import TrainingRecord
from bench.records.staleness import Codes
from bench.records.store import latest
from bench.report.tables.costs import estimate_effect, group_blocks
from bench.report.tables.entries import BAD, GOOD, NEUTRAL, NONE, Entry, count, framed, mark, number
from bench.report.tables.outcomes import of_kind
from bench.train.statistics import Estimate, equivalent, estimate, holm, judge_difference

PLAIN = "plain"
EFFECT_COLUMNS = (
    "data set", "framework", "regime", "strength", "accuracy %", "beside plain", "verdict", "NLL", "calibration %",
    "confidence %", "PGD-20 %", "noise %", "× plain", "cost table", "seeds",
)  # fmt: skip
TIMED = {  # the method of the cost tables that a regime's step is
    "noise": "noise",
    "dropout": "dropout",
    "label smoothing": "label_smoothing",
    "fgm": "mixed",
    "fgsm": "fgsm",
    "pgd-3": "pgd-3",
    "gradient penalty": "gradient_penalty",
    "jacobian penalty": "jacobian_penalty",
    "vat": "vat",
    "vat + entropy": "vat entropy",
    "consistency": "consistency",
    "flooding": "flooding",
    "parameter penalty": "parameter_gradient_penalty",
    "spectral norm": "spectral_norm",
}
WORKLOADS = {"digits": "digits-cnn", "reviews": "reviews-text"}  # with a training's model; batches are larger
ARTICLE_COLUMNS = ("claim", "article", "IFLYTEK", "TNEWS", "here", "holds here")
HALF_COLUMNS = (
    "data set", "framework", "regime", "bfloat16 beside float32", "gain in float32", "gain in bfloat16", "seeds",
)  # fmt: skip
BFLOAT16 = "bfloat16"
Runs = dict[int, TrainingRecord]  # by seed


def judged(records: Iterable[Any], dtype: str = FLOAT32) -> dict[tuple[str, str], dict[str, Runs]]:
    """Runs on the test part by data set and framework, regime and seed: those of the strength that was judged last.

    Of one dtype.
    """
    found: dict[tuple[str, str], dict[str, list[TrainingRecord]]] = {}
    for record in of_kind(records, TrainingRecord):
        if record.part == "test" and record.dtype == dtype:
            regimes = found.setdefault((record.dataset, record.framework), {})
            regimes.setdefault(record.regime, []).append(record)
    return {place: {name: last(runs) for name, runs in regimes.items()} for place, regimes in found.items()}


def last(runs: Sequence[TrainingRecord]) -> Runs:
    """Another search may have chosen another strength: its seeds are no part of the same mean."""
    newest = max(runs, key=lambda run: run.time)
    return {run.seed: run for run in runs if (run.strength, run.code) == (newest.strength, newest.code)}


def differences(runs: Runs, plain: Runs, measure: str = "accuracy") -> list[float]:
    """Subtract plain training's measure, for the seeds that both have and neither diverged with."""
    shared = [seed for seed in runs if seed in plain and {runs[seed].status, plain[seed].status} == {"ok"}]
    return [getattr(runs[seed], measure) - getattr(plain[seed], measure) for seed in sorted(shared)]


def effects_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a data set, framework and regime."""
    rows, records = [], latest(records)
    costs = promised(records)
    for place, regimes in judged(records).items():
        plain = regimes.get(PLAIN, {})
        beside = {name: estimate(differences(runs, plain)) for name, runs in regimes.items() if name != PLAIN}
        allowed = holm({name: each.p for name, each in beside.items()})
        for name, runs in regimes.items():
            word = judge(beside[name], allowed[name]) if name in beside else NONE
            shown = points(beside[name]) if name in beside else NONE
            price = costs.get((place[0].partition("-")[0], place[1], name), NONE)
            rows.append((*place, name, *row(list(runs.values()), list(plain.values()), shown, word, price, code)))
    return framed(rows, EFFECT_COLUMNS)


def half_effects_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a data set, framework and regime that was trained in bfloat16 and in float32: paired differences."""
    rows, wide, half = [], judged(records), judged(records, BFLOAT16)
    for place, regimes in half.items():
        for name, runs in regimes.items():
            full = wide.get(place, {})
            pairs = {seed: run for seed, run in full.get(name, {}).items() if same_run(run, runs.get(seed))}
            between = estimate(differences({seed: runs[seed] for seed in pairs}, pairs))
            both = full, regimes
            gains = [estimate(differences(found.get(name, {}), found.get(PLAIN, {}))) for found in both]
            shown = [points(gain) if name != PLAIN else NONE for gain in gains]
            seeds = mark(count(len(pairs)), [*pairs.values(), *runs.values()], code)
            rows.append((*place, name, points(between), *shown, seeds))
    return framed(rows, HALF_COLUMNS)


def same_run(one: TrainingRecord, other: TrainingRecord | None) -> bool:
    """Whether two runs differ in their dtype alone."""
    return other is not None and one.strength == other.strength


def judge(found: Estimate, allowed: float) -> Entry:
    word = judge_difference(found, allowed)
    return Entry(word, state={"better": GOOD, "worse": BAD}.get(word, NEUTRAL))


def promised(records: Iterable[Any]) -> dict[tuple[str, str, str], Entry]:
    """What the cost tables say of a regime's step on the same model; by kind of data, framework, regime."""
    known = {
        (b[0].workload, b[0].framework, b[0].mode, b[0].method): b
        for b in group_blocks(records)
        if b[0].dtype == FLOAT32
    }
    found = {}
    for data, workload in WORKLOADS.items():
        for framework, mode in QUICK_MODE.items():
            for regime, method in TIMED.items():
                ratio = estimate_effect(known.get((workload, framework, mode, method), [])).ratio
                if ratio == ratio:
                    found[data, framework, regime] = number(ratio, ".2f")
    return found


def row(
    runs: Sequence[TrainingRecord],
    plain: Sequence[TrainingRecord],
    beside: str,
    word: str,
    price: str,
    code: Codes | None,
) -> tuple[str, ...]:
    good = [run for run in runs if run.status == "ok"]

    def of(measure: str, scale: float = 100, digits: int = 1) -> Entry:
        found = estimate([getattr(run, measure) for run in good])
        half = f" ± {scale * (found.high - found.mean):.{digits}f}" if found.high == found.high else ""
        mean = scale * found.mean
        return Entry(f"{mean:.{digits}f}{half}", mean) if found.seeds else NONE

    measures = (of("nll", 1, 3), of("calibration_error"), of("confidence"), of("pgd_accuracy"), of("noise_accuracy"))
    steps, base = (pd.Series([run.step for run in each if run.status == "ok"]).median() for each in (good, plain))
    times = number(steps / base, ".2f") if steps == steps and base == base else NONE
    lost = [run.status for run in runs if run.status != "ok"]
    said = f"{len(good)}" + "".join(f", {lost.count(status)} {status}" for status in dict.fromkeys(lost))
    seeds = mark(Entry(said, len(good)), runs, code)
    return (number(runs[0].strength, "g"), of("accuracy"), beside, word, *measures, times, price, seeds)


def points(found: Estimate) -> Entry:
    """A difference of accuracy in points, with its interval."""
    if not found.seeds:
        return NONE
    known = found.high == found.high
    interval = f" ({100 * found.low:+.2f} to {100 * found.high:+.2f})" if known else ""
    return Entry(f"{100 * found.mean:+.2f}{interval}", 100 * found.mean)


@dataclass(frozen=True)
class Said:
    """What an article says, with its figures, and what decides it here, data set by data set."""

    claim: str
    article: str
    iflytek: str
    tnews: str
    decide: Callable[[dict[str, Runs]], tuple[str, bool] | None]  # figures and whether it holds


def moves(
    regime: str, measure: str = "accuracy", upwards: bool = True
) -> Callable[[dict[str, Runs]], tuple[str, bool] | None]:
    """Whether a regime's measure is above plain training's, or below it."""

    def decide(regimes: dict[str, Runs]) -> tuple[str, bool] | None:
        found = estimate(differences(regimes.get(regime, {}), regimes.get(PLAIN, {}), measure))
        return (points(found), found.low > 0 if upwards else found.high < 0) if found.seeds > 1 else None

    return decide


def same(first: str, second: str) -> Callable[[dict[str, Runs]], tuple[str, bool] | None]:
    """Whether two regimes' accuracies are within the margin of each other."""

    def decide(regimes: dict[str, Runs]) -> tuple[str, bool] | None:
        between = differences(regimes.get(first, {}), regimes.get(second, {}))
        return (points(estimate(between)), equivalent(between)) if len(between) > 1 else None

    return decide


SU, DSXIANGLI = "Su, 对抗训练浅谈", "小样本利器2 (DSXiangLi)"
UNTOLD = "no figure", "no figure"  # of either task
SAID = (
    Said("FGM raises accuracy", SU, "60.29 → 62.46", "56.58 → 57.66", moves("fgm table")),
    Said("A gradient penalty raises accuracy", SU, "60.29 → 62.31", "56.58 → 57.81", moves("gradient penalty")),
    Said("FGM and the penalty do basically the same", SU, "+0.15", "-0.15", same("fgm", "gradient penalty")),
    Said(
        "FGM helps on what is unlike the training data (here: noise)",
        DSXIANGLI,
        *UNTOLD,
        moves("fgm", "noise_accuracy"),
    ),
    Said("FGM lowers the confidence of predictions", DSXIANGLI, *UNTOLD, moves("fgm", "confidence", upwards=False)),
    Said(
        "With FGM probabilities are more reasonable (here: calibration error)",
        DSXIANGLI,
        *UNTOLD,
        moves("fgm", "calibration_error", upwards=False),
    ),
    Said("VAT gains from text without labels", DSXIANGLI, *UNTOLD, moves("vat")),
)


def articles_table(records: Iterable[Any]) -> pd.DataFrame:
    """What the articles say beside what was measured here; each claim on every data set, differences in points."""
    rows, found = [], judged(records)
    for said in SAID if found else ():
        decided = {place[0]: said.decide(regimes) for place, regimes in found.items()}
        here = [f"{name}: {shown[0]}" for name, shown in decided.items() if shown]
        held = [name for name, shown in decided.items() if shown and shown[1]]
        word = f"on {len(held)} of {len(here)}" if here else "not measured"
        rows.append((said.claim, said.article, said.iflytek, said.tnews, "; ".join(here) or NONE, word))
    return framed(rows, ARTICLE_COLUMNS)
