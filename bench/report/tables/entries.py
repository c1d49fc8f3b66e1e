"""An entry of a table: the text that is shown, and beside it what the text says, as a number and as a state.

Pages colour by the state and sort by the number, and answers are made from both. Nobody reads them out of the text,
which is there for people alone.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import pandas as pd

from bench.records.schema import Status
from bench.records.staleness import Codes, stale

State = Literal["good", "bad", "open", ""]
GOOD: State = "good"
BAD: State = "bad"  # something does not hold, or broke
OPEN: State = "open"  # not measured, or not all of it
NEUTRAL: State = ""  # neither: a name, or a number that nobody judges
STATES: dict[Status, State] = {
    "ok": GOOD,
    "wrong": BAD,
    "failed": BAD,
    "timeout": BAD,
    "oom": BAD,
    "interrupted": OPEN,
    "unsupported": OPEN,
    "skipped": OPEN,
}
STALE = "†"


class Entry(str):
    """A text that knows its number (NaN: none), its state, the records that it rests on, and whether one is stale.

    link: where what it speaks of is to be seen, "" for nowhere.
    """

    text: str  # without the mark of what is stale
    number: float
    state: State
    records: tuple[Any, ...]
    stale: bool
    link: str

    def __new__(
        cls,
        text: str,
        number: float = math.nan,
        state: State = NEUTRAL,
        records: Iterable[Any] = (),
        stale: bool = False,
        link: str = "",
    ) -> "Entry":
        entry = super().__new__(cls, f"{text} {STALE}".strip() if stale else text)
        entry.text, entry.number, entry.state = text, number, state
        entry.records, entry.stale, entry.link = tuple(records), stale, link
        return entry


NOT_MEASURED = Entry("not measured", state=OPEN)
NOT_COVERED = Entry("not covered", state=OPEN)  # someone else's implementation does not offer it, as it says itself
NONE = Entry("–")


def number(value: float, form: str, unit: str = "", mark: str = "") -> Entry:
    """A number with as many digits as a reader needs; a dash where it is none."""
    return Entry(f"{mark}{value:{form}}{unit}", value) if math.isfinite(value) else NONE


def count(value: int) -> Entry:
    return Entry(str(value), value)


def mark(entry: str, records: Iterable[Any], code: Codes | None) -> Entry:
    """The entry with the records that it rests on, marked where one of them was made with other code."""
    records, known = tuple(records), as_entry(entry)
    return Entry(known.text, known.number, known.state, records, any(stale(record, code) for record in records))


def as_entry(value: str) -> Entry:
    """Text that nobody judges is an entry, too."""
    return value if isinstance(value, Entry) else Entry(value)


def framed(rows: Sequence[Any], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A table of entries, of rows that are sequences or else mappings by column.

    It is a table of objects: pandas' own strings would forget what an entry knows.
    """
    mappings = [row for row in rows if isinstance(row, dict)]
    names = list(mappings[0]) if columns is None and mappings else columns
    entries = [[as_entry(value) for value in (row.values() if isinstance(row, dict) else row)] for row in rows]
    return pd.DataFrame(entries, columns=names, dtype=object)
