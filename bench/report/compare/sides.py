"""One side of a comparison, read from a folder of results, a commit, or JSON of pytest-benchmark."""

import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.places import ROOT, unpack
from bench.records.schema import (
    AgreementRecord,
    AtlasRecord,
    Block,
    CallRecord,
    ClaimRecord,
    ConformanceRecord,
    Environment,
    PrecisionRecord,
)
from bench.records.store import FILES, latest, of_this_schema, read
from bench.report.compare.quantities import PLAIN, Quantity, called, quantities
from bench.report.tables.outcomes import outcome


class Unreadable(Exception):
    """What was given is no set of results."""


@dataclass
class Results:
    """One side, by machine: what holds and what does not, what was measured, and how fast the machine was."""

    name: str
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    quantities: dict[str, dict[str, Quantity]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    rates: dict[str, float | None] = field(default_factory=dict)


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
        if complaint := unpack(source, Path(folder), "results"):  # as it was committed, whatever lies there now
            raise Unreadable(f"{source}: no folder, no file, and no commit with results: {complaint}")
        return of_folder(Path(folder) / "results", source)


def of_folder(folder: Path, name: str) -> Results:
    """Read a folder of results. Raises Unreadable where there is nothing in it that could be one."""
    return of_rounds([folder], name)


def of_rounds(folders: Sequence[Path], name: str) -> Results:
    """Read what was measured in several rounds, each in a folder of its own; blocks are numbered by their round."""
    found = Results(name)
    records: dict[str, list[Any]] = {}
    for number, folder in enumerate(folders):
        try:
            of_this_schema(folder)
        except ValueError as error:
            raise Unreadable(str(error)) from None
        for path in sorted(folder.glob(FILES)):
            own, problems = read(path)
            found.problems += [problem.replace(str(folder), name) for problem in problems]
            own = [in_round(record, number) for record in own] if len(folders) > 1 else own
            records.setdefault(path.parent.name, []).extend(own)
    for machine, own in records.items():
        last = latest(own)
        found.words[machine] = {called(record): describe_record(record) for record in last}
        found.quantities[machine] = quantities(last)
        rates = [record.product_gflops for record in own if isinstance(record, Environment)]
        found.rates[machine] = rates[-1] if rates else None
    if not any(found.words.values()) and not found.problems:  # what is damaged is no pass, and shown as such
        raise Unreadable(f"{name}: no record in it, expected {FILES} below a folder of results")
    return found


def in_round(record: Any, number: int) -> Any:
    """The record as a block of one sitting, in which every folder has noted the machine's speed anew.

    Rounds go in turns with those of the other side: what others do on the machine disturbs both, and widens intervals.
    """
    if not isinstance(record, Block):
        return record
    return record.model_copy(update={"block": number, "environment": "", "foreign": math.nan})


def describe_record(record: Any) -> str:
    """holds or ok, or what stands in its place."""
    if isinstance(record, ClaimRecord | AgreementRecord | CallRecord):
        word = outcome(record)
        return {"holds": "FAILS", "FAILS": "holds"}.get(word, word) if record.wrong else word  # a mistake must fail
    if isinstance(record, AtlasRecord) and record.status == "ok":
        return "; ".join(f"{composition}: {row['word']}" for composition, row in record.rows.items())
    if isinstance(record, ConformanceRecord | PrecisionRecord) and record.status == "ok":
        return "holds" if record.verdict.holds else "FAILS"
    if getattr(record, "failures", None):
        return "FAILS"
    return record.status


def of_benchmarks(path: Path) -> Results:
    """Medians of pytest-benchmark, one number a benchmark; its machine is the processor's name."""
    try:
        text = json.loads(path.read_text("utf-8"))
        machine = text["machine_info"]["cpu"].get("brand_raw") or text["machine_info"]["machine"]
        timed = {each["fullname"]: float(each["stats"]["median"]) for each in text["benchmarks"]}
        found = {
            name: Quantity(PLAIN, {"": math.log(median)}, f"{1e3 * median:.3g} ms") for name, median in timed.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, UnicodeError) as error:
        raise Unreadable(
            f"{path}: got no JSON of pytest-benchmark's ({error!r}); a folder of results does too"
        ) from None
    if not found:
        raise Unreadable(f"{path}: no benchmark in it")
    return Results(str(path), {machine: dict.fromkeys(found, "ok")}, {machine: found})
