"""Two sets of results: what started to fail, what got slower or faster beyond the noise, what came and what went.

Times are compared on the same machine only. A method's are in plain steps of its own process, which a machine's mood
moves alike; a plain step has nothing beside it, and its absolute time must differ by more. Slower once is a suspicion:
a regression is what two more runs, measured afresh, find too.
"""

import io
import json
import math
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy  # which imports scipy.stats where it is first used: that takes a second

from bench.places import ROOT
from bench.records.block_statistics import FEWEST, LEVEL, RESAMPLES, Effect, noise_floor
from bench.records.schema import AgreementRecord, Block, ClaimRecord, CostRecord, Environment, as_fast
from bench.records.store import FILES, latest, of_this_schema, read
from bench.report import markdown
from bench.report.ci import LIMIT
from bench.report.tables.costs import effects, measured_last, select_undisturbed
from bench.report.tables.outcomes import outcome

ALONE = float(np.log(1.1))  # what has no noise floor of its own must differ by more than a tenth
FRESH = 2  # runs that must find again what one has found
COLUMNS = ("change", "what", "before", "after", "difference", "machine")

Word = Literal["started to fail", "holds again", "slower", "slower, not confirmed", "faster", "added", "vanished"]
REGRESSIONS = ("started to fail", "slower")


class Unreadable(Exception):
    """What was given is no set of results."""


@dataclass(frozen=True)
class Timing:
    """One thing that was timed: a number of log(time) a block, and by how much it differs from itself."""

    numbers: list[float]
    noise: float
    shown: str
    block: Block | None = None  # one of them, to see which code measured it
    cell: tuple[str, ...] = ()  # to measure it again: method, framework, mode, workload, dtype, device


@dataclass
class Results:
    """One side: by machine, what holds and what does not, and what was timed."""

    name: str
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    times: dict[str, dict[str, Timing]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    rates: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """What changed of one thing on one machine."""

    change: Word
    what: str
    before: str
    after: str
    difference: str = ""
    machine: str = ""

    @property
    def regression(self) -> bool:
        return self.change in REGRESSIONS


# Reading


def results(source: str) -> Results:
    """Read one side: a folder of results, a commit of this project, or pytest-benchmark's JSON.

    Raises:
        Unreadable: it is none of these, or holds no record.
    """
    path = Path(source)
    if path.is_dir():
        return of_folder(path, source)
    if path.is_file():
        return of_benchmarks(path)
    if not (ROOT / ".git").exists():
        raise Unreadable(f"{source}: no folder and no file; commits can be compared in a clone of the repository")
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(
            ["git", "archive", source, "results"], cwd=ROOT, capture_output=True
        )  # as it was committed, whatever lies in the folder now
        if packed.returncode:
            raise Unreadable(
                f"{source}: no folder, no file, and no commit with results: {packed.stderr.decode().strip()}"
            )
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(folder, filter="data")
        return of_folder(Path(folder) / "results", source)


def of_folder(folder: Path, name: str) -> Results:
    found = Results(name)
    try:
        of_this_schema(folder)
    except ValueError as error:
        raise Unreadable(str(error)) from None
    for path in sorted(folder.glob(FILES)):
        records, problems = read(path)
        machine = path.parent.name
        found.problems += [problem.replace(str(folder), name) for problem in problems]
        found.words[machine] = {called(record): describe_record(record) for record in latest(records)}
        found.times[machine] = timings(records)
        rates = [record.product_gflops for record in records if isinstance(record, Environment)]
        found.rates[machine] = rates[-1] if rates else None
    if not any(found.words.values()):
        raise Unreadable(f"{name}: no record in it, expected {FILES} below a folder of results")
    return found


def called(record: Any) -> str:
    """A record's name, without what only numbers the blocks of a cell."""
    names = tuple(record.key())[: -1 if isinstance(record, Block) else None]
    device = (record.device,) if record.device not in names else ()
    return " ".join(part for part in (*names, *device) if part)


def describe_record(record: Any) -> str:
    """holds or ok, or what stands in its place."""
    if isinstance(record, ClaimRecord | AgreementRecord):
        word = outcome(record)
        return {"holds": "FAILS", "FAILS": "holds"}.get(word, word) if record.wrong else word  # a mistake must fail
    if getattr(record, "failures", None):
        return "FAILS"
    return record.status


def timings(records: Sequence[Any]) -> dict[str, Timing]:
    """What was timed undisturbed and is right, by name."""
    groups: dict[str, list[CostRecord]] = {}
    for record in latest(records):
        if isinstance(record, CostRecord):
            groups.setdefault(called(record), []).append(record)
    groups = {name: measured_last(blocks) for name, blocks in groups.items()}
    plain = [blocks for blocks in groups.values() if blocks[0].method == "plain"]
    noise = {(*blocks[0].place(), blocks[0].quick): noise_floor(effects(blocks)) for blocks in plain}
    found = {}
    for name, blocks in groups.items():
        if any(block.status != "ok" for block in blocks) or not (good := select_undisturbed(blocks)):
            continue
        first = blocks[0]
        if first.method == "plain":
            numbers, floor = [math.log(float(np.median(block.steps))) for block in good], ALONE
            shown = f"{1e3 * math.exp(np.mean(numbers)):.3g} ms"
        else:
            numbers, floor = effects(blocks), noise.get((*first.place(), first.quick), ALONE)
            floor = floor if len(numbers) >= FEWEST else max(floor, ALONE)
            shown = f"{math.exp(np.mean(numbers)):.3g} × plain"
        cell = (first.method, first.framework, first.mode, first.workload, first.dtype, first.device)
        found[name] = Timing(numbers, floor, shown, first, cell)
    return found


def of_benchmarks(path: Path) -> Results:
    """Medians of pytest-benchmark, with the quartiles for an interval; its machine is the processor's name."""
    try:
        text = json.loads(path.read_text("utf-8"))
        machine = text["machine_info"]["cpu"].get("brand_raw") or text["machine_info"]["machine"]
        timed = {each["fullname"]: each["stats"] for each in text["benchmarks"]}
        times = {
            name: Timing(
                [math.log(each[key]) for key in ("q1", "median", "q3")], ALONE, f"{1e3 * each['median']:.3g} ms"
            )
            for name, each in timed.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, UnicodeError) as error:
        raise Unreadable(
            f"{path}: got no JSON of pytest-benchmark's ({error!r}); a folder of results does too"
        ) from None
    if not times:
        raise Unreadable(f"{path}: no benchmark in it")
    return Results(str(path), {machine: dict.fromkeys(times, "ok")}, {machine: times})


# Comparing


def compare(base: Results, new: Results, fresh: Sequence[Results] = ()) -> list[Change]:
    """Every change, regressions first."""
    found = [*changes(base, new), *slowed(base, new, fresh)]
    order = list(dict.fromkeys([*REGRESSIONS, *(change.change for change in found)]))
    return sorted(found, key=lambda change: order.index(change.change))


def changes(base: Results, new: Results) -> Iterator[Change]:
    """Yield changes in what holds, on a machine that both know, or on the only one that each has."""
    for machine, before, after in pairs(base.words, new.words):
        for name in dict.fromkeys([*before, *after]):
            old, now = before.get(name), after.get(name)
            if old is None:
                yield Change("added", name, "–", str(now), machine=machine)
            elif now is None:
                yield Change("vanished", name, old, "not measured", machine=machine)
            elif good(old) and not good(now):
                yield Change("started to fail", name, old, now, machine=machine)
            elif good(now) and not good(old):
                yield Change("holds again", name, old, now, machine=machine)


def good(word: str) -> bool:
    return word in ("holds", "ok", "unsupported")


def pairs(base: dict[str, Any], new: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    shared = [machine for machine in base if machine in new]
    if shared or not (len(base) == len(new) == 1):
        yield from ((machine, base.get(machine, {}), new.get(machine, {})) for machine in dict.fromkeys([*base, *new]))
    else:  # what holds does not depend on the machine
        yield " → ".join((*base, *new)), *base.values(), *new.values()


def slowed(base: Results, new: Results, fresh: Sequence[Results]) -> Iterator[Change]:
    """Yield changes in what was timed on the same machine."""
    for machine, before in base.times.items():
        if machine in other_machines(base, new):
            continue
        for name, old in before.items():
            again = [each.times.get(machine, {}).get(name) for each in (new, *fresh)]
            if again[0] is None:
                continue
            words = [moved(old, each) for each in again if each]
            shown = old.shown, again[0].shown, interval(difference(old, again[0]))
            if words[0] == "faster":
                yield Change("faster", name, *shown, machine)
            elif words[0] == "slower" and set(words) == {"slower"}:
                confirmed = len(words) > FRESH
                yield Change("slower" if confirmed else "slower, not confirmed", name, *shown, machine)


def other_machines(base: Results, new: Results) -> dict[str, str]:
    """Why times are not compared, by name of machines that only bear the same name: two speeds are two machines."""
    rates = {name: (base.rates.get(name), new.rates.get(name)) for name in base.times if name in new.times}
    return {
        name: f"times on {name} are not compared: a matrix product ran at {old:g} GFLOP/s and at {now:g}"
        for name, (old, now) in rates.items()
        if old and now and not as_fast(old, now)
    }


def moved(old: Timing, new: Timing) -> str:
    """Which way, by more than either side differs from itself; the whole interval must."""
    found, margin = difference(old, new), max(old.noise, new.noise)
    return "slower" if found.low > margin else "faster" if found.high < -margin else "same"


def difference(old: Timing, new: Timing) -> Effect:
    """The difference of the means, with its interval by bootstrap over both sides' blocks; of few blocks the range."""
    a, b = np.asarray(old.numbers), np.asarray(new.numbers)
    mean, low, high = b.mean() - a.mean(), b.min() - a.max(), b.max() - a.min()
    if min(a.size, b.size) >= FEWEST and np.ptp(a) and np.ptp(b):
        drawn = scipy.stats.bootstrap(
            (a, b), lambda a, b, axis: b.mean(axis) - a.mean(axis), confidence_level=LEVEL, n_resamples=RESAMPLES,
            method="percentile", rng=np.random.default_rng(0),
        )  # fmt: skip
        low, high = drawn.confidence_interval
    return Effect(float(mean), float(low), float(high), int(min(a.size, b.size)))


def interval(found: Effect) -> str:
    low, high = found.interval
    return f"× {found.ratio:.3f} ({low:.3f}–{high:.3f})"


# Telling


def table(found: Iterable[Change]) -> pd.DataFrame:
    return pd.DataFrame([asdict(change) for change in found], columns=COLUMNS)


def markdown_text(base: Results, new: Results, found: Sequence[Change], limit: int = LIMIT) -> str:
    """What changed, for people; within what a job's summary may hold (GitHub's limit is 1 MiB)."""
    regressions = sum(change.regression for change in found)
    lines = [f"## {base.name} → {new.name}", "", f"{regressions} regressions, {len(found)} changes.", ""]
    lines += [f"- {side.name}: {problem}" for side in (base, new) for problem in side.problems]
    lines += [f"- {reason}" for reason in other_machines(base, new).values()]
    for rest in (found, found[:200], found[:20]):
        text = "\n".join(lines) + "\n\n" + (markdown.table(table(rest)) if rest else "Nothing changed.\n")
        if len(rest) < len(found):
            text += f"\n{len(found) - len(rest)} more are in the JSON.\n"
        if len(text.encode()) <= limit:
            return text
    return "\n".join(lines[:3])


def json_text(base: Results, new: Results, found: Sequence[Change]) -> str:
    facts = {
        "base": base.name,
        "new": new.name,
        "regressions": sum(change.regression for change in found),
        "changes": [asdict(change) | {"regression": change.regression} for change in found],
        "problems": base.problems + new.problems + list(other_machines(base, new).values()),
    }
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
