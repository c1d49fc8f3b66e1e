"""What regimes do for a model: measures over seeds, paired differences to plain training, and the articles' claims."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.costs.cells import FLOAT32, QUICK_MODE
from bench.records.schema import TrainingRecord
from bench.records.staleness import Codes
from bench.records.store import latest
from bench.report.tables.costs import estimate_effect, group_blocks
from bench.report.tables.entries import NONE, NOT_MEASURED, Entry, count, framed, mark, number
from bench.report.tables.outcomes import of_kind
from bench.report.tables.paired import Compared, Runs, allow, difference, differences, last, points, verdict
from bench.train import study
from bench.train.plan import JUDGED_BY, Comparison, Measure
from bench.train.statistics import MARGIN, estimate

PLAIN = "plain"
ACCURACY: Measure = "accuracy"
NLL: Measure = "nll"
EFFECT_COLUMNS = (
    "data set", "framework", "regime", "strength", "accuracy %", "beside plain", "verdict", "NLL", "NLL beside plain",
    "NLL verdict", "calibration %", "confidence %", "PGD-20 %", "noise %", "× plain", "cost table", "seeds",
)  # fmt: skip
MEASURES: tuple[Measure, ...] = (ACCURACY, NLL)  # that every regime is compared with plain training by
ARTICLES_MEASURES: dict[str, tuple[Measure, ...]] = {
    "fgm": ("noise_accuracy", "confidence", "calibration_error")
}  # that they speak of besides
COMPARED = "compared"  # what is remembered of records
ALIKE = "fgm", "gradient penalty"  # that they call basically the same
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
Place = tuple[str, str]  # data set, framework


def judged(records: Iterable[Any], dtype: str = FLOAT32, by: str = ACCURACY) -> dict[Place, dict[str, Runs]]:
    """Runs on the test part by data set and framework, regime and seed: at the strength that a measure chose.

    Of one dtype; strengths are chosen in float32 for all.
    """
    records = latest(records)
    tried, found = searched(records), dict[Place, dict[str, Runs]]()
    for (place, regime), runs in by_regime(records, "test").items():
        if own := [run for run in runs if run.dtype == dtype]:
            strength = study.best(tried.get((place, regime), []), by)
            found.setdefault(place, {})[regime] = last([run for run in own if run.strength == strength] or own)
    return found


def searched(records: Iterable[Any]) -> dict[tuple[Place, str], list[TrainingRecord]]:
    """What the last search has tried: what other code did says nothing of which strength is best now."""
    found = {}
    for key, runs in by_regime(records, "validation").items():
        code = max(runs, key=lambda run: run.time).code
        found[key] = [run for run in runs if run.code == code]
    return found


def by_regime(records: Iterable[Any], part: str) -> dict[tuple[Place, str], list[TrainingRecord]]:
    """The runs that are judged on a part of the data, by data set and framework, and regime."""
    found: dict[tuple[Place, str], list[TrainingRecord]] = {}
    for record in of_kind(records, TrainingRecord):
        if record.part == part:
            found.setdefault(((record.dataset, record.framework), record.regime), []).append(record)
    return found


def compared(records: Iterable[Any]) -> list[Compared]:
    """Every comparison that the tables show; made once for all tables of the same records."""
    records = latest(records)
    if COMPARED not in records.remembered:
        records.remembered[COMPARED] = compare(records)
    found: list[Compared] = records.remembered[COMPARED]
    return found


def compare(records: Iterable[Any]) -> list[Compared]:
    """Compare regimes, each at strengths of its own measure; a framework's comparisons are one family."""
    by = {measure: judged(records, by=measure) for measure in MEASURES}
    families: dict[str, list[Compared]] = {}
    for place, regimes in by[ACCURACY].items():
        for comparison in comparisons(regimes):
            runs = by[JUDGED_BY.get(comparison.measure, NLL)][place]
            each = Compared(
                comparison=comparison,
                dataset=place[0],
                framework=place[1],
                runs=runs[comparison.regime],
                beside=runs[comparison.beside],
            )
            families.setdefault(place[1], []).append(each)
    return [each for family in families.values() for each in allow(family)]


def comparisons(regimes: Iterable[str]) -> list[Comparison]:
    """What is compared of these regimes: each with plain training, and what the articles say besides."""
    regimes = list(regimes)
    found = [
        Comparison(regime=name, beside=PLAIN, measure=measure)
        for name in regimes
        for measure in (*MEASURES, *ARTICLES_MEASURES.get(name, ()))
        if name != PLAIN and PLAIN in regimes
    ]
    alike = set(ALIKE) <= set(regimes)
    return found + [Comparison(regime=ALIKE[0], beside=ALIKE[1], measure=ACCURACY, margin=MARGIN)] * alike


def effects_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a data set, framework and regime: accuracy at the strength that accuracy chose, the rest at NLL's."""
    rows, records = [], latest(records)
    costs, tried = promised(records), searched(records)
    by = {measure: judged(records, by=measure) for measure in MEASURES}
    found: dict[tuple[str, ...], Compared] = {
        (each.dataset, each.framework, each.comparison.regime, each.comparison.measure): each
        for each in compared(records)
        if each.comparison.beside == PLAIN
    }
    for place, regimes in by[ACCURACY].items():
        plain = list(regimes.get(PLAIN, {}).values())
        for name, runs in regimes.items():
            gains = [found.get((*place, name, measure)) for measure in MEASURES]
            likely = list(by[NLL][place][name].values())
            known = {run.strength for run in tried.get((place, name), [])}
            price = costs.get((place[0].partition("-")[0], place[1], name), NONE)
            rows.append((*place, name, *row(list(runs.values()), likely, plain, known, gains, price, code)))
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
    likely: Sequence[TrainingRecord],
    plain: Sequence[TrainingRecord],
    tried: Collection[float],
    gains: Sequence[Compared | None],
    price: str,
    code: Codes | None,
) -> tuple[str, ...]:
    """The entries of one regime: its runs at the strength of accuracy, and those at the strength of likelihood."""
    good, sure = ([run for run in each if run.status == "ok"] for each in (runs, likely))
    (gain, word), (nats, told) = ((difference(each), verdict(each)) if each else (NONE, NONE) for each in gains)
    steps, base = (pd.Series([run.step for run in each if run.status == "ok"]).median() for each in (good, plain))
    times = number(steps / base, ".2f") if steps == steps and base == base else NONE
    lost = [run.status for run in runs if run.status != "ok"]
    said = f"{len(good)}" + "".join(f", {lost.count(status)} {status}" for status in dict.fromkeys(lost))
    seeds = mark(Entry(said, len(good)), [*runs, *likely], code)
    strengths = " / ".join(dict.fromkeys(chosen(each[0].strength, tried) for each in (runs, likely)))
    accuracy = mean(good, "accuracy"), gain, word
    likelihood = mean(sure, "nll", 1, 3), nats, told, mean(sure, "calibration_error"), mean(sure, "confidence")
    robust = mean(sure, "pgd_accuracy"), mean(sure, "noise_accuracy")
    return (Entry(strengths, runs[0].strength), *accuracy, *likelihood, *robust, times, price, seeds)


def chosen(strength: float, tried: Collection[float]) -> str:
    """A strength, and whether it has no worse neighbour on one side: a better one may lie beyond what was tried."""
    return f"{strength:g}" + (", at an edge" if len(tried) > 1 and strength in (min(tried), max(tried)) else "")


def mean(runs: Sequence[TrainingRecord], measure: str, scale: float = 100, digits: int = 1) -> Entry:
    """A measure over seeds, and half its interval."""
    found = estimate([getattr(run, measure) for run in runs])
    half = f" ± {scale * (found.high - found.mean):.{digits}f}" if found.high == found.high else ""
    return Entry(f"{scale * found.mean:.{digits}f}{half}", scale * found.mean) if found.seeds else NONE


@dataclass(frozen=True)
class Said:
    """What an article says, with its figures, and which comparison decides it here, in which direction."""

    claim: str
    article: str
    iflytek: str
    tnews: str
    regime: str
    measure: Measure = ACCURACY
    rises: bool | None = True  # None: it says that two are the same

    def holds(self, each: Compared) -> bool:
        """Whether it is shown, all that is compared allowed for."""
        return each.shown and (self.rises is None or self.rises == (each.found.mean > 0))


SU, DSXIANGLI = "Su, 对抗训练浅谈", "小样本利器2 (DSXiangLi)"
UNTOLD = "no figure", "no figure"  # of either task
SAID = (
    Said("FGM raises accuracy", SU, "60.29 → 62.46", "56.58 → 57.66", "fgm table"),
    Said("A gradient penalty raises accuracy", SU, "60.29 → 62.31", "56.58 → 57.81", "gradient penalty"),
    Said("FGM and the penalty do basically the same", SU, "+0.15", "-0.15", "fgm", rises=None),
    Said("FGM helps on what is unlike the training data (here: noise)", DSXIANGLI, *UNTOLD, "fgm", "noise_accuracy"),
    Said("FGM lowers the confidence of predictions", DSXIANGLI, *UNTOLD, "fgm", "confidence", False),
    Said(
        "With FGM probabilities are more reasonable (here: calibration error)",
        DSXIANGLI,
        *UNTOLD,
        "fgm",
        "calibration_error",
        False,
    ),
    Said("VAT gains from text without labels", DSXIANGLI, *UNTOLD, "vat"),
)


def articles_table(records: Iterable[Any]) -> pd.DataFrame:
    """What the articles say beside what was measured here; each claim on every data set, differences in points."""
    rows, found = [], compared(latest(records))
    for said in SAID if found else ():
        own = [each for each in found if decides(each.comparison, said) and each.found.seeds > 1]
        here = [f"{each.dataset}: {difference(each)}" for each in own]
        word = f"on {sum(map(said.holds, own))} of {len(own)}" if own else NOT_MEASURED
        rows.append((said.claim, said.article, said.iflytek, said.tnews, "; ".join(here) or NONE, word))
    return framed(rows, ARTICLE_COLUMNS)


def decides(comparison: Comparison, said: Said) -> bool:
    """Whether it is this comparison that the statement is about."""
    same = comparison.margin is not None
    return (comparison.regime, comparison.measure, same) == (said.regime, said.measure, said.rises is None)
