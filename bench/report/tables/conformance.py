"""Published packages: which of their functions are right, what is off, and by how much."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import pandas as pd

from bench.records.schema import ConformanceRecord
from bench.records.staleness import Codes
from bench.report.tables.entries import BAD, GOOD, NEUTRAL, NONE, OPEN, Entry, State, count, framed, mark, number
from bench.report.tables.outcomes import of_kind
from equivalence.published.package import CONVENTION, LIMIT, RIGHT, WORDS, WRONG

STATES: dict[str, State] = {WRONG: BAD, CONVENTION: NEUTRAL, LIMIT: NEUTRAL, RIGHT: GOOD}
COLUMNS = (
    "package",
    "framework",
    "version",
    "function",
    "for",
    "compared in",
    "word",
    "why",
    "claims",
    "units",
    "shown",
)
SHOWN = 4  # claims that fail, by name


def summary_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a framework: packages, functions, how many have which word, and what contradicts one."""
    rows = []
    for framework, found in by_framework(records).items():
        usable = [record for record in found if record.function and record.status == "ok"]
        words = Counter(record.word for record in usable)
        wrong = sum(bool(record.contradiction) or record.status == "failed" for record in found)
        rows.append(
            (
                mark(Entry(framework), found, code),
                count(len({record.package for record in usable})),
                count(len(usable)),
                *(Entry(str(words[word]), words[word], STATES[word] if words[word] else NEUTRAL) for word in WORDS),
                count(len({record.package for record in found if record.status == "unsupported"})),
                Entry(str(wrong), wrong, BAD if wrong else GOOD),
            )
        )
    return framed(rows, ("framework", "packages", "functions", *WORDS, "cannot be imported", "words contradicted"))


def functions_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a function, what is wrong first."""
    found = [record for each in by_framework(records).values() for record in each]
    found.sort(key=lambda record: (WORDS.index(record.word) if record.word in WORDS else len(WORDS), record.package))
    return framed([function_row(record, code) for record in found], COLUMNS)


def function_row(record: ConformanceRecord, code: Codes | None) -> tuple[str, ...]:
    version = record.version.partition(", ")[0].removeprefix(f"{record.package} ")
    own = f"{version}, judged in {record.judged_version}" if version != record.judged_version else version
    place = record.package, record.framework, own + (f" (since {record.since})" if record.since else "")
    if record.status != "ok":
        why = Entry(f"{record.status}: {record.reason}", state=OPEN)
        return (*place, record.function or NONE, record.method or NONE, NONE, word(record, code), why, NONE, NONE, NONE)
    less = ["values alone"] * (not record.gradients) + ["never traced"] * (not record.traced)
    offered = ", ".join([record.compared, *record.dtypes, *less])
    shown = Entry("; ".join(record.witness)) if record.witness else NONE
    measured = (claims(record), number(record.worst, ".2g"), shown)
    return (*place, record.function, record.method, offered, word(record, code), record.said, *measured)


def word(record: ConformanceRecord, code: Codes | None) -> Entry:
    """The person's word; where it is contradicted, why."""
    if record.contradiction:
        return mark(Entry(f"{record.word}, contradicted: {record.contradiction}", state=BAD), [record], code)
    return mark(Entry(record.word or "unusable", state=STATES.get(record.word, OPEN)), [record], code)


def claims(record: ConformanceRecord) -> Entry:
    """How many claims hold, and which fail."""
    failing = [name for name, outcome in record.claims.items() if outcome["fails"]]
    held = sum(not outcome["fails"] and bool(outcome["holds"]) for outcome in record.claims.values())
    more = f" and {len(failing) - SHOWN} more" if len(failing) > SHOWN else ""
    told = f"; {', '.join(failing[:SHOWN])}{more} fail" if failing else ""
    return Entry(f"{held} hold{told}", len(failing))


def by_framework(records: Iterable[Any]) -> dict[str, list[ConformanceRecord]]:
    """Of each function the record of the version that was measured last."""
    last = {(each.framework, each.package, each.function): each for each in of_kind(records, ConformanceRecord)}
    found: dict[str, list[ConformanceRecord]] = {}
    for record in last.values():
        found.setdefault(record.framework, []).append(record)
    return found
