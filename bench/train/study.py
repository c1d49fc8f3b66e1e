"""Which runs a study is made of, in which processes, and records of what came back.

First every strength of a regime is tried on the validation part, with seeds of its own; the best ones are then trained
with the study's seeds and judged on the test part: the most accurate for accuracy, the one with the least mean negative
log-likelihood for likelihood, confidence and calibration. What is chosen by one measure says little about another.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import mean, median_low
from typing import Any, Literal

from bench.records.schema import TrainingRecord
from bench.running import allocator, caches
from bench.running.job import Job, Outcome
from bench.train.datasets import SHIPPED, USUAL
from bench.train.finetuning import Source
from bench.train.plan import CHOSEN_BY, Plan
from bench.train.regimes import REGIMES

FLOAT32 = "float32"
DTYPES = (FLOAT32, "bfloat16")  # float16 needs a loss that is scaled step by step, which is not a regime's matter
SEEDS = 5
TUNING_SEEDS = (1000, 1001, 1002, 1003)  # none of the study's own
COSTLY_TUNING_SEEDS = TUNING_SEEDS[:2]  # where a run fine-tunes an encoder, and takes minutes
EXTENSIONS = 3  # of a grid of the usual study
SHARES = ("dropout", "label smoothing")  # regimes whose strength is less than 1
NLL = "nll"
RUN_LIMIT = 3600.0  # seconds a run
QUICK_DATASET, QUICK_REGIMES, QUICK_SEEDS = "digits-100", ("plain", "fgm", "gradient penalty"), 2
CURVE_DATASET, CURVE_SEED = "reviews-1000", 0
Part = Literal["validation", "test", "curve"]
Task = tuple[str, str, float, int]  # data set, regime, strength, seed
Strengths = dict[tuple[str, str], float]  # by data set and regime


@dataclass(frozen=True)
class Study:
    """What is compared, and how it is trained."""

    framework: str
    datasets: tuple[str, ...]
    regimes: tuple[str, ...]
    seeds: int = SEEDS
    optimizer: str = "adam"
    dtype: str = FLOAT32
    device: str = "cpu"
    quick: bool = False  # middle strengths, as they are
    source: Source | None = None  # of a data set that is the user's own
    grids: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # by regime, instead of its usual strengths
    tuning_seeds: tuple[int, ...] = TUNING_SEEDS
    by: tuple[str, ...] = (NLL,)  # measures that strengths are chosen by, one for each
    extensions: int = 0  # strengths that are tried beyond an edge of a grid, while that is chosen
    attacked: int | None = None  # so many seeds' models are attacked; None: all

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Data sets with the regimes that can be used on them."""
        return [(data, regime) for data in self.datasets for regime in self.regimes if applies(regime, data)]

    def strengths(self, regime: str) -> tuple[float, ...]:
        return self.grids.get(regime, REGIMES[regime].strengths)

    def middle(self, regime: str) -> float:
        """The strength where none has been chosen."""
        return median_low(self.strengths(regime))


def planned(
    framework: str,
    datasets: Sequence[str],
    regimes: Sequence[str],
    seeds: int,
    device: str,
    quick: bool,
    source: Source | None,
    curves: bool,
    grids: Mapping[str, tuple[float, ...]] | None = None,
) -> Study:
    """What was asked for, the rest as it usually is: every data set and regime, quick: a few.

    Where grids are given, they are kept as they are.
    """
    if source:
        usual: Sequence[str] = [source.name]
    else:
        usual = [CURVE_DATASET] if curves else [QUICK_DATASET] if quick else USUAL
    costly = source is not None or bool(set(datasets) & set(SHIPPED))
    return Study(
        framework,
        tuple(datasets or usual),
        tuple(regimes or (QUICK_REGIMES if quick else REGIMES)),
        QUICK_SEEDS if quick else seeds,
        optimizer="momentum" if curves else "adam",
        dtype="float64" if curves else FLOAT32,
        device=device,
        quick=quick,
        source=source,
        grids=grids or {},
        tuning_seeds=COSTLY_TUNING_SEEDS if costly else TUNING_SEEDS,
        by=CHOSEN_BY,
        extensions=0 if grids else EXTENSIONS,
    )


def following(plan: Plan, framework: str, datasets: Sequence[str], device: str, source: Source | None) -> Study:
    """The study that a plan asks for, on its data sets or on others."""
    return Study(
        framework,
        tuple(datasets or plan.datasets),
        tuple(plan.strengths),
        plan.seeds,
        dtype=plan.dtype,
        device=device,
        source=source,
        grids=plan.strengths,
        tuning_seeds=plan.tuning_seeds,
        by=CHOSEN_BY,
        extensions=plan.extensions,
        attacked=plan.attacked,
    )


def applies(regime: str, dataset: str) -> bool:
    """Whether the data set has what the regime acts on."""
    return not REGIMES[regime].text or not dataset.startswith("digits")


def tuning(study: Study) -> list[Task]:
    """Every strength of the regimes that have more than one."""
    if study.quick:
        return []
    return [
        (data, regime, strength, seed)
        for seed in study.tuning_seeds
        for data, regime in study.pairs
        if len(study.strengths(regime)) > 1
        for strength in study.strengths(regime)
    ]


def beyond(study: Study, tried: Iterable[TrainingRecord]) -> list[Task]:
    """One more strength for each choice at an edge of what was tried, as far beyond as the next one is within.

    A share comes as much nearer to 1 as the last one did.
    """
    found: list[Task] = []
    for measure in study.by:
        for (data, regime), strength in chosen(study, tried, measure).items():
            grid = study.strengths(regime)
            known = sorted({r.strength for r in tried if (r.dataset, r.regime) == (data, regime)})
            if len(known) < 2 or strength not in (known[0], known[-1]) or len(known) >= len(grid) + study.extensions:
                continue
            inner = known[1] if strength == known[0] else known[-2]
            shrinking = regime in SHARES and strength > inner
            further = 1 - (1 - strength) ** 2 / (1 - inner) if shrinking else strength**2 / inner
            further = float(f"{further:.2g}")
            found += [(data, regime, further, seed) for seed in study.tuning_seeds]
    return list(dict.fromkeys(found))


def chosen(study: Study, tried: Iterable[TrainingRecord], measure: str = NLL) -> Strengths:
    """Map each pair to the strength that did best, or to the middle one if none was tried or all diverged.

    Of several that did as well the smallest.
    """
    found: dict[tuple[str, str], list[TrainingRecord]] = {}
    for record in tried:
        found.setdefault((record.dataset, record.regime), []).append(record)
    choices = {pair: best(found.get(pair, ()), measure) for pair in study.pairs}
    return {pair: study.middle(pair[1]) if strength is None else strength for pair, strength in choices.items()}


def best(tried: Iterable[TrainingRecord], measure: str) -> float | None:
    """The strength that did best on average, the smallest of several; None where all diverged, or none was tried."""
    sign, losses = 1 if measure == NLL else -1, dict[float, list[float]]()
    for record in sorted(tried, key=lambda record: record.strength):
        loss = sign * getattr(record, measure) if record.status == "ok" else float("inf")
        losses.setdefault(record.strength, []).append(loss)
    means = {strength: mean(values) for strength, values in losses.items()}
    finite = {strength: value for strength, value in means.items() if value < float("inf")}
    return min(finite, key=finite.__getitem__) if finite else None


def final(study: Study, tried: Sequence[TrainingRecord]) -> list[Task]:
    """Every pair at the strengths that were chosen, by each of the measures."""
    choices = [chosen(study, tried, measure) for measure in study.by]
    tasks = [(*pair, each[pair], seed) for seed in range(study.seeds) for pair in study.pairs for each in choices]
    return list(dict.fromkeys(tasks))


def curves(study: Study) -> list[Task]:
    """The first steps of every regime, with one seed."""
    return [(*pair, study.middle(pair[1]), CURVE_SEED) for pair in study.pairs]


def jobs(study: Study, tasks: Iterable[Task], part: Part, folder: str, kept: dict[str, Any] | None = None) -> list[Job]:
    """A process a data set and seed: its regimes share the data.

    `folder` is for compilers' caches. `kept` says where trainings keep what they have done: "folder", by which "code",
    "every" how many seconds, and whether to "resume" from what is there.
    """
    arguments = {
        "part": part,
        "optimizer": study.optimizer,
        "dtype": study.dtype,
        "device": study.device,
        "quick": study.quick,
        "attacked": study.attacked,
        "source": asdict(study.source) if study.source else None,
        "kept": kept,
        "environment": {**caches.settings(folder), **allocator.settings()},
    }
    grouped: dict[tuple[str, int], list[list[Any]]] = {}
    for task in tasks:
        grouped.setdefault((task[0], task[3]), []).append(list(task))
    return [Job("bench.train.worker", study.framework, arguments, group, RUN_LIMIT) for group in grouped.values()]


def record(outcome: Outcome) -> TrainingRecord:
    """A run's record. A result carries its own status: a run that diverged has a reason and no measures."""
    place, (dataset, regime, strength, seed) = outcome.job.arguments, outcome.task
    facts: dict[str, Any] = {"status": outcome.status, "reason": outcome.reason} | outcome.result
    facts |= {name: place[name] for name in ("part", "optimizer", "dtype", "device", "quick")}
    run = {"dataset": dataset, "regime": regime, "strength": strength, "seed": seed}
    return TrainingRecord(framework=outcome.job.framework, **run, **facts)
