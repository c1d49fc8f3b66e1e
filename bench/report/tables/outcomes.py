"""What came of the records of checks, and how several outcomes are told in one entry.

`skipped` never looks like `holds`.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from bench.records.blind import is_blind
from bench.records.schema import AgreementRecord, Base, CallRecord, ClaimRecord
from bench.records.store import latest
from bench.report.tables.entries import BAD, GOOD, NEUTRAL, NOT_COVERED, NOT_MEASURED, OPEN, STATES, Entry
from equivalence.measure import FULL, HALF, MIXED
from impls import FRAMEWORKS

Judged = ClaimRecord | AgreementRecord | CallRecord
Kind = TypeVar("Kind", bound=Base)

HOLDS = Entry("holds", state=GOOD)
FAILS = Entry("FAILS", state=BAD)
SHOWS_NOTHING = Entry("shows nothing", state=NEUTRAL)
WORST_FIRST = (FAILS, "wrong", "failed", "timeout", "oom", "interrupted", NOT_COVERED, "skipped", SHOWS_NOTHING, HOLDS)
DTYPES = FULL
HALF_DTYPES = (*HALF, *(MIXED + dtype for dtype in HALF))


def of_kind(records: Iterable[Any], kind: type[Kind]) -> list[Kind]:
    """The latest records of one kind."""
    return latest(records).kinds.get(kind.model_fields["kind"].default, [])


def outcome(record: Judged) -> Entry:
    """holds, FAILS, shows nothing, or the status that stands in the place of a measurement."""
    if record.status == "unsupported":
        return NOT_COVERED
    if record.status != "ok":
        return Entry(record.status, state=STATES.get(record.status, NEUTRAL))
    if not record.verdict.holds:
        return FAILS
    return SHOWS_NOTHING if isinstance(record, AgreementRecord) and is_blind(record.measurement) else HOLDS


def tally(records: Sequence[Judged], missing: int = 0) -> Entry:
    """How many records have which outcome, worst first: "FAILS 2/6, holds 4/6".

    Good if all were measured, and those that show something hold.
    """
    if not records:
        return NOT_MEASURED
    outcomes = [outcome(record) for record in records]
    counts: Counter[str] = Counter(outcomes)
    told = [f"{name} {counts[name]}/{len(records)}" for name in WORST_FIRST if counts[name]]
    states = {each.state for each in outcomes} | ({OPEN} if missing else set())
    state = next((each for each in (BAD, OPEN, GOOD) if each in states), NEUTRAL)
    return Entry(", ".join(told + ([f"{NOT_MEASURED} {missing}"] if missing else [])), state=state)


def worst(values: Iterable[float]) -> float:
    """The largest; not a number where one of them is none, or there are none."""
    return float(np.max([*values] or [math.nan]))


def frameworks(records: Iterable[Any]) -> list[str]:
    """List the project's frameworks, then whatever else was recorded."""
    return list(dict.fromkeys([*FRAMEWORKS, *(record.framework for record in records)]))


def column(framework: str, dtype: str) -> str:
    """The name of a column that is about one framework."""
    return f"{framework} {dtype}"
