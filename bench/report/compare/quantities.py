"""What is compared as a number, and the rule for each: how large a difference counts, and on which machines.

A rule's margin is a difference that is not worth an alarm; beyond it, the whole interval of the difference must lie. Of
numbers without an interval, one a side, the difference must exceed `alone`.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import scipy  # which imports scipy.stats where it is first used: that takes a second

from bench.records.block_statistics import LEVEL, Effect, effect, noise_floor
from bench.records.schema import (
    QUICK,
    AgreementRecord,
    AtlasRecord,
    Block,
    CallRecord,
    ColdRecord,
    CostRecord,
    TrainingRecord,
)
from bench.report.tables.costs import effects, measured_last, select_undisturbed

Direction = Literal["worse", "better", "same"]


@dataclass(frozen=True)
class Rule:
    """How numbers of one topic are compared; they are logarithms, or differences are of the numbers themselves."""

    topic: str
    margin: float
    alone: float
    worse: str
    better: str
    of_machine: bool = False  # compared on one machine only
    confirmed: bool = False  # once is a suspicion, and a regression what further runs find as well
    larger_is_better: bool = False
    ratio: bool = True
    unit: str = ""


TENTH, LITTLE = math.log(1.1), math.log(1.03)
SUSPICION = 0.8  # of an interval that says what is timed again; what is said to be slower has one of LEVEL
COST = Rule(
    "cost of a method", math.log(1.03), TENTH, "slower", "faster", of_machine=True, confirmed=True, unit="× plain"
)
PLAIN = Rule("plain step", math.log(1.05), TENTH, "slower", "faster", of_machine=True, confirmed=True, unit="ms")
MEMORY = Rule("memory", TENTH, TENTH, "more memory", "less memory", of_machine=True, unit="MiB")
COMPILING = Rule("compiling", math.log(1.5), math.log(1.5), "compiles longer", "compiles faster", True, unit="s")
WORK = Rule("work", math.log(1.01), math.log(1.01), "more work", "less work", unit="plain steps, counted")
ERROR = Rule("error", math.log(3), math.log(3), "less accurate", "more accurate", unit="units")
ACCURACY = Rule(
    "accuracy", 0.005, 0.05, "trains worse", "trains better", larger_is_better=True, ratio=False, unit="accuracy"
)
LIKELIHOOD = Rule("likelihood", 0.02, 0.2, "trains worse", "trains better", ratio=False, unit="nats")
LEAST_ERROR = 1.0  # units: what lies below is rounding, however many times it grew
LEAST_COMPILING = 0.5  # seconds: what lies below is the machine's mood
LEAST_MEMORY = 8.0  # MiB: what lies below depends on where an allocator's pages end


@dataclass(frozen=True)
class Quantity:
    """One thing that was measured: independent numbers by what they belong to, a block or a seed, and their rule."""

    rule: Rule
    numbers: dict[Any, float]
    shown: str
    noise: float = 0.0  # by how much it differs from itself in one block, where that was measured
    own: tuple[float, ...] = ()  # by how much it did, block by block
    block: Block | None = None  # one of those timed, to see which code measured it
    cell: tuple[str, ...] = ()  # to measure it again: method, framework, mode, workload, dtype, device

    def margin(self, paired: bool = False) -> float:
        """What a difference must exceed: the rule's margin, and what the plain step differs from itself.

        In one block, or where pairs of blocks take the machine's moods out, on average over them, at most.
        """
        mean = effect(self.own)
        bias = max(abs(mean.low), abs(mean.high)) if math.isfinite(mean.low) else self.noise
        return max(bias if paired else self.noise, self.rule.margin)


def quantities(records: Sequence[Any]) -> dict[str, Quantity]:
    """Everything that is compared as a number, by name, of records no two of which have the same key."""
    found: dict[str, Quantity] = {}
    for take in TAKEN:
        found |= take(records)
    return found


def costs(records: Sequence[Any]) -> dict[str, Quantity]:
    """What was timed undisturbed and is right: methods in plain steps, plain steps by their time."""
    groups: dict[str, list[CostRecord]] = {}
    for record in of(records, CostRecord):
        groups.setdefault(called(record), []).append(record)
    groups = {name: measured_last(blocks) for name, blocks in groups.items()}
    plain = [blocks for blocks in groups.values() if blocks[0].method == "plain"]
    own = {(*blocks[0].place(), blocks[0].quick): tuple(effects(blocks)) for blocks in plain}
    found = {}
    for name, blocks in groups.items():
        if any(block.status != "ok" for block in blocks) or not (good := select_undisturbed(blocks)):
            continue
        first = blocks[0]
        cell = (first.method, first.framework, first.mode, first.workload, first.dtype, first.device)
        if first.method == "plain":
            numbers = {block.block: math.log(float(np.median(block.steps))) for block in good}
            found[name] = Quantity(PLAIN, numbers, f"{1e3 * geometric(numbers):.3g} ms", block=first, cell=cell)
        else:
            numbers = {block.block: block.effect for block in good}
            itself = own.get((*first.place(), first.quick), ())
            floor = noise_floor(itself) if itself else TENTH
            found[name] = Quantity(COST, numbers, f"{geometric(numbers):.3g} × plain", floor, itself, first, cell)
    return found


def cold(records: Sequence[Any]) -> dict[str, Quantity]:
    """Memory, time to compile and counted work of each cell in a fresh process."""
    found = {}
    for record in of(records, ColdRecord):
        if record.status != "ok":
            continue
        numbers = (
            (MEMORY, record.memory - record.held, LEAST_MEMORY, ".0f"),
            (COMPILING, record.traced + record.compiled, LEAST_COMPILING, ".2g"),
            (WORK, record.counted, 0.0, ".3f"),
        )
        for rule, value, least, form in numbers:
            if math.isfinite(value) and value >= 0 and max(value, least) > 0:
                shown = f"{value:{form}} {rule.unit}"
                found[f"{rule.topic}: {called(record)}"] = Quantity(rule, {"": math.log(max(value, least))}, shown)
    return found


def errors(records: Sequence[Any]) -> dict[str, Quantity]:
    """The largest error of each method in each framework and dtype, in rounding units × condition."""
    largest: dict[tuple[str, ...], float] = {}
    for record in records:
        if isinstance(record, AgreementRecord | CallRecord) and not record.wrong and record.status == "ok":
            units = [value for name, value in record.verdict.numbers.items() if name.endswith("units")]
            worst = float(np.max([0.0, *units]))
            method = (record.kind, record.method, record.framework, record.dtype)
            largest[method] = max(largest.get(method, 0.0), worst)
    return {
        " ".join(("error:", *name)): Quantity(ERROR, {"": math.log(max(worst, LEAST_ERROR))}, f"{worst:.2g} units")
        for name, worst in largest.items()
        if math.isfinite(worst)
    }


def trainings(records: Sequence[Any]) -> dict[str, Quantity]:
    """Accuracy and likelihood on the test part, of each way to train, a number a seed."""
    groups: dict[tuple[str, ...], list[TrainingRecord]] = {}
    for record in of(records, TrainingRecord):
        if record.part == "test" and record.status == "ok":
            run = (record.dataset, record.regime, record.framework, record.optimizer, record.dtype, record.device)
            groups.setdefault((*run, *QUICK[record.quick]), []).append(record)
    found = {}
    for name, own in groups.items():
        for rule, value, form in ((ACCURACY, "accuracy", ".1%"), (LIKELIHOOD, "nll", ".3f")):
            numbers = {record.seed: getattr(record, value) for record in own if math.isfinite(getattr(record, value))}
            if numbers:
                shown = f"{np.mean(list(numbers.values())):{form}} {rule.unit}, {len(numbers)} seeds"
                found[" ".join((f"{rule.topic}:", *name))] = Quantity(rule, numbers, shown)
    return found


TAKEN: tuple[Callable[[Sequence[Any]], dict[str, Quantity]], ...] = (costs, cold, errors, trainings)


def of(records: Iterable[Any], kind: type[Any]) -> Iterator[Any]:
    return (record for record in records if isinstance(record, kind))


def called(record: Any) -> str:
    """A record's name, without what only numbers the blocks of a cell, or is a framework's version."""
    names = tuple(record.key())[: -1 if isinstance(record, Block) else None]
    if isinstance(record, AtlasRecord):
        names = tuple(name for name in names if name != record.version)
    device = (record.device,) if record.device not in names else ()
    return " ".join(part for part in (*names, *device) if part)


def geometric(numbers: dict[Any, float]) -> float:
    return math.exp(float(np.mean(list(numbers.values()))))


def pooled(sittings: Sequence[Quantity]) -> Quantity:
    """What several sittings measured of one thing, as if it had been one."""
    numbers = {(sitting, key): value for sitting, each in enumerate(sittings) for key, value in each.numbers.items()}
    own = tuple(value for each in sittings for value in each.own)
    noise = max(each.noise for each in sittings)
    return replace(sittings[0], numbers=numbers, own=own, noise=noise, shown=sittings[-1].shown)


def difference(old: Quantity, new: Quantity, paired: bool = False, level: float = LEVEL) -> Effect:
    """The difference of the means with its interval: Student's over pairs where there are some, else Welch's.

    Seeds are pairs always, blocks where both sides were timed in turns.
    """
    shared = [key for key in old.numbers if key in new.numbers]
    if (paired or not old.rule.of_machine) and len(shared) > 1:
        found = np.array([new.numbers[key] - old.numbers[key] for key in shared])
        return with_half(found.mean(), found.std(ddof=1) / found.size**0.5, found.size - 1, found.size, level)
    a, b = (np.array(list(each.numbers.values())) for each in (old, new))
    mean, least = float(b.mean() - a.mean()), min(a.size, b.size)
    if least < 2:
        return Effect(mean, math.nan, math.nan, least)
    parts = a.var(ddof=1) / a.size, b.var(ddof=1) / b.size
    error = sum(parts) ** 0.5
    weights = parts[0] ** 2 / (a.size - 1) + parts[1] ** 2 / (b.size - 1)
    return with_half(mean, error, error**4 / weights if weights else math.inf, least, level)


def with_half(mean: float, error: float, freedom: float, count: int, level: float) -> Effect:
    half = float(scipy.stats.t.ppf((1 + level) / 2, freedom) * error) if error else 0.0
    return Effect(float(mean), float(mean) - half, float(mean) + half, int(count))


def moved(old: Quantity, new: Quantity, paired: bool = False, level: float = LEVEL) -> Direction:
    """Which way, by more than the rule's margin and than either side differs from itself."""
    found, margin = difference(old, new, paired, level), max(old.margin(paired), new.margin(paired))
    low, high = found.low, found.high
    if math.isnan(low):  # one number a side
        low = high = found.mean
        margin = max(margin, old.rule.alone)
    direction = "up" if low > margin else "down" if high < -margin else "same"
    if direction == "same":
        return "same"
    return "better" if (direction == "up") == old.rule.larger_is_better else "worse"


def tell_difference(old: Quantity, new: Quantity, paired: bool = False) -> str:
    """The ratio or the difference, with its interval where there is one."""
    found = difference(old, new, paired)
    if old.rule.ratio:
        low, high = found.interval
        return f"× {found.ratio:.3f}" + (f" ({low:.3f}–{high:.3f})" if math.isfinite(low) else "")
    return f"{found.mean:+.3f}" + (f" ({found.low:+.3f} to {found.high:+.3f})" if math.isfinite(found.low) else "")
