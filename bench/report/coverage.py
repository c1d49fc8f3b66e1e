"""What is said of someone else's implementation beside verdicts: what it does not offer, and what it printed."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from bench.records.schema import ClaimRecord
from bench.report.tables.entries import NOT_COVERED

MOST, LONGEST = 6, 200  # places that are named, characters of what is printed


def print_aside(
    console: Console,
    records: Collection[Any],
    unmeasured: Collection[str],
    printed: Mapping[str, str],
    noted: Mapping[str, str],
) -> None:
    """One line for each reason why something was not measured, each function that prints, and what is to be known."""
    for reason, places in gaps(records).items():
        more = f" and {len(places) - MOST} more" if len(places) > MOST else ""
        console.print(Text(f"{NOT_COVERED}: {reason}: {', '.join(places[:MOST])}{more}", "yellow"), soft_wrap=True)
    for name, text in printed.items():
        console.print(Text(f"{name} printed {text[:LONGEST]!r}, which is shown once"), soft_wrap=True)
    for name, text in noted.items():
        console.print(Text(f"{name} {text}", "yellow"), soft_wrap=True)
    if unmeasured:
        console.print(Text(f"{', '.join(unmeasured)} gave no result at all", "yellow"), soft_wrap=True)


def gaps(records: Collection[Any]) -> dict[str, list[str]]:
    """Map each reason to the claims, or parts of one, and the usages that were not measured for it."""
    found: dict[str, list[str]] = defaultdict(list)
    for record in records:
        for reason in dict.fromkeys(missing(record)):
            found[reason].append(place(record))
    return {reason: list(dict.fromkeys(places)) for reason, places in found.items()}


def missing(record: Any) -> Iterator[str]:
    """Why a record, or a part of it, has no measurement."""
    if record.status == "unsupported":
        yield record.reason
    for part in record.parts.values() if isinstance(record, ClaimRecord) else ():
        if part.get("kind") == "not covered":
            yield part["reason"]


def place(record: Any) -> str:
    """What was not measured, in words; of a claim that was measured in part, that."""
    if isinstance(record, ClaimRecord):
        return f"{record.claim} in part" if record.parts else record.claim
    return record.usage
