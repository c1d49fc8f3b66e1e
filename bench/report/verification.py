"""Someone else's implementation in a terminal: what was measured, what fails and why, what is to be known."""

from collections.abc import Collection, Iterable
from typing import Any

from rich.console import Console
from rich.text import Text

from bench.records.schema import AgreementRecord, CallRecord, ClaimRecord
from bench.report import terminal
from bench.report.tables.agreement import agreement_table, calls_table
from bench.report.tables.claims import claims_table
from bench.report.tables.entries import NOT_MEASURED


def print_verified(console: Console, records: Collection[Any], framework: str) -> None:
    """One row a claim and a usage, of those that were measured."""
    claimed, agreed = claims_table(records), agreement_table(records)
    if any(isinstance(record, ClaimRecord) for record in records):
        claimed = claimed[claimed[framework] != NOT_MEASURED]
        terminal.show(console, claimed[["claim", "what it says", framework, "measured"]])
    if any(isinstance(record, AgreementRecord) for record in records):
        agreed = agreed[agreed["verdict"] != NOT_MEASURED]
        terminal.show(console, agreed[["usage", "largest error", "verdict"]])
    if any(isinstance(record, CallRecord) for record in records):
        called = calls_table(records)
        terminal.show(console, called[called[framework] != NOT_MEASURED])


def print_failures(console: Console, failed: Iterable[list[str]], advice: Iterable[str]) -> None:
    """Each failed claim in words, with its formula and what was measured; then what to look at, once a function."""
    for lines in failed:
        console.print(Text(lines[0], style="red"), soft_wrap=True)
        for line in lines[1:]:
            console.print(Text(f"  {line}"), soft_wrap=True)
    for block in advice:
        console.print(Text(block), soft_wrap=True)


def print_remarks(console: Console, remarks: Iterable[str]) -> None:
    """What is no failure, and to be known all the same."""
    for remark in remarks:
        console.print(Text(remark, style="yellow"), soft_wrap=True)
