"""The atlas: which higher derivatives of which operations are wrong or refused, sorted by what hurts most."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.records.schema import AtlasRecord
from bench.records.staleness import Codes
from bench.report.tables.entries import BAD, GOOD, NEUTRAL, NONE, NOT_MEASURED, OPEN, Entry, State, count, framed, mark
from bench.report.tables.outcomes import of_kind
from equivalence.atlas.compositions import COMPOSITIONS, order
from equivalence.atlas.judge import HURTS, RAISES, RIGHT, UNDECIDED, WORDS, WRONG

STATES: dict[str, State] = {**dict.fromkeys(HURTS, BAD), UNDECIDED: OPEN, RAISES: OPEN, RIGHT: GOOD}
WEIGHTS = {0: 1e3, 1: 1e3, 2: 10.0, 3: 1.0}  # a wrong number hurts the more, the more methods take it
REFUSED = 1e-3  # of that weight: what raises passes no wrong number on
Group = Sequence[AtlasRecord]


def summary_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a framework and version: operations, and how many rows (operation, mode, composition) have which word."""
    rows = []
    for (framework, version), group in by(records, "framework", "version").items():
        counts = Counter(row["word"] for record in group for row in record.rows.values())
        failed = sum(record.status != "ok" for record in group)
        words = [
            Entry(str(counts[word]), counts[word], STATES.get(word, NEUTRAL) if counts[word] else NEUTRAL)
            for word in WORDS
        ]
        operations = count(len({record.operation for record in group}))
        rows.append(
            (
                framework,
                mark(Entry(version), group, code),
                operations,
                count(sum(counts.values())),
                *words,
                count(failed),
            )
        )
    return framed(rows, ("framework", "version", "operations", "rows", *WORDS, "without a result"))


def operations_table(records: Iterable[Any], code: Codes | None = None, words: Sequence[str] = HURTS) -> pd.DataFrame:
    """One row an operation in which one of the words occurs, what hurts most first; a column a composition."""
    found = newest(of_kind(records, AtlasRecord))
    groups = [group for group in by(found, "framework", "operation").values() if words_of(group) & set(words)]
    others = set(HURTS) - set(words)  # who looks for what is refused need not see again what is wrong
    groups = [group for group in groups if not words_of(group) & others]
    every = by(records, "framework", "operation")
    rows = [operation_row(group, since(group[0], every), code) for group in sorted(groups, key=pain, reverse=True)]
    return framed(rows, ("operation", "framework", "modes", *COMPOSITIONS, "other versions"))


def kinks_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a place without a derivative: the slopes that both modes give there, between those on either side."""
    rows = [
        (record.operation, record.framework, name, *kink_entries(told), mark(kink_word(told), [record], code))
        for record in newest(of_kind(records, AtlasRecord))
        for name, told in record.kinks.items()
    ]
    return framed(rows, ("operation", "framework", "at", "below", "above", "reverse", "forward", "second", "verdict"))


def by(records: Iterable[Any], *fields: str) -> dict[tuple[str, ...], list[AtlasRecord]]:
    """Records of the atlas, sorted by these fields."""
    found: dict[tuple[str, ...], list[AtlasRecord]] = {}
    for record in of_kind(records, AtlasRecord):
        found.setdefault(tuple(getattr(record, field) for field in fields), []).append(record)
    return found


def newest(records: Iterable[AtlasRecord]) -> list[AtlasRecord]:
    """Of several versions of an operation's package the one that was measured of last."""
    records = list(records)
    last: dict[tuple[str, str], tuple[tuple[int, ...], str]] = {}
    for record in records:
        place = record.framework, record.operation
        last[place] = max(last.get(place, ((), "")), (numbers(record.version), record.version))
    return [record for record in records if record.version == last[record.framework, record.operation][1]]


def numbers(version: str) -> tuple[int, ...]:
    """What sorts versions: "torch 2.13.0" comes after "torch 2.9.1"."""
    return tuple(int(part) for part in version.replace(",", " ").replace(".", " ").split() if part.isdecimal())


def words_of(group: Group) -> set[str]:
    return {row["word"] for record in group for row in record.rows.values()}


def pain(group: Group) -> float:
    """How much an operation hurts: how many compositions are wrong in how many modes, lower orders first."""
    total = 0.0
    for record in group:
        for composition, row in record.rows.items():
            weight = WEIGHTS[order(composition)]
            total += weight if row["word"] in HURTS else weight * REFUSED if row["word"] != RIGHT else 0
    return total


def operation_row(group: Group, other: str, code: Codes | None) -> list[Entry]:
    modes = ", ".join(record.mode for record in group)
    entries = [composition_entry(group, composition) for composition in COMPOSITIONS]
    first = group[0]
    return [mark(Entry(first.operation), group, code), Entry(first.framework), Entry(modes), *entries, Entry(other)]


def composition_entry(group: Group, composition: str) -> Entry:
    """The worst word over modes, how far off, and in which modes if not in all."""
    found = {record.mode: record.rows[composition] for record in group if composition in record.rows}
    if not found:
        return NONE
    worst = min((row["word"] for row in found.values()), key=WORDS.index)
    modes = [mode for mode, row in found.items() if row["word"] == worst]
    off = max((row.get("off", math.nan) for row in found.values() if row["word"] == worst), key=lambda x: (x == x, x))
    size = f", {tell_size(off)}" if worst == WRONG else ""
    where = "" if len(modes) == len(found) else f" ({', '.join(modes)})"
    return Entry(f"{worst}{size}{where}", off, STATES.get(worst, NEUTRAL))


def tell_size(off: float) -> str:
    """A relative error in per cent, or in times where that would be long."""
    if not math.isfinite(off):
        return "NaN"
    return f"{off:.0%}" if off < 100 else f"{off:.0e} times"


def since(record: AtlasRecord, every: Mapping[tuple[str, ...], list[AtlasRecord]]) -> str:
    """What other versions of the package say of the operation; every record is given by framework and operation."""
    found = every.get((record.framework, record.operation), [])
    told = {
        each.version: "wrong" if words_of([r for r in found if r.version == each.version]) & set(HURTS) else "not wrong"
        for each in found
        if each.version != record.version
    }
    return "; ".join(f"{version}: {word}" for version, word in told.items()) or str(NONE)


def kink_entries(told: dict[str, Any]) -> list[Entry]:
    return [
        Entry(str(value), value if isinstance(value, float) else math.nan) if value is not None else NOT_MEASURED
        for value in (told.get(key) for key in ("below", "above", "R", "F", "RR"))
    ]


def kink_word(told: dict[str, Any]) -> Entry:
    """Whether both modes give one slope, and that is one between those of the two sides."""
    low, high = sorted((told["below"], told["above"]))
    margin = 1e-3 * max(1.0, abs(low), abs(high))
    slopes = [told["R"], told["F"]]
    if any(isinstance(slope, str) for slope in slopes):
        return Entry("one mode raises", state=OPEN)
    if any(not low - margin <= slope <= high + margin for slope in slopes):  # NaN is not
        return Entry("not between the sides", state=BAD)
    if abs(slopes[0] - slopes[1]) > margin:
        return Entry("modes differ", state=BAD)
    return Entry("between the sides" if high - low > margin else "the slope of both sides", state=GOOD)
