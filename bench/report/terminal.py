"""The tables in a terminal, readable at 100 columns; what does not hold stands below in red, with its reason."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.proofs.mutants import rejecting
from bench.report.tables import (
    agreement,
    atlas,
    claims,
    conformance,
    costs,
    curves,
    effects,
    finetuning,
    mistakes,
    peers,
    precision,
    variations,
)
from bench.report.tables.entries import BAD, GOOD, NONE, NOT_MEASURED, OPEN, State, as_entry
from bench.report.tables.outcomes import HALF_DTYPES
from bench.running.job import Outcome
from equivalence.atlas.compositions import COMPOSITIONS
from equivalence.atlas.judge import HURTS, RAISES, UNDECIDED, WORDS
from impls.frameworks import FRAMEWORKS

WIDTHS = {"what it says": 24, "mistakes rejected": 9, "measured": 16, "planted mistake": 46}  # of 100; others share
AGREEMENT_COLUMNS = ["usage", "largest error", "between frameworks", "verdict"]
COST_COLUMNS = ["step", "ms a step", "× plain", "interval", "ideal ratio", "of machine", "blocks", "status"]
EFFECTS_COLUMNS = ["regime", "strength", "accuracy %", "beside plain", "verdict", "NLL", "× plain", "seeds"]
COLOURS: dict[State, str] = {BAD: "red", OPEN: "yellow"}


def print_claims(console: Console, records: Iterable[Any]) -> None:
    """One row a claim that was measured, in the frameworks that were; all of them where none was."""
    records = list(records)
    table = claims.claims_table(records)
    measured = {record.claim for record in records if record.kind == "claim"} or set(table["claim"])
    shown = table[table["claim"].isin(measured)]
    idle = [name for name in FRAMEWORKS if (shown[name] == NOT_MEASURED).all()]
    show(console, shown if len(idle) == len(FRAMEWORKS) else shown.drop(columns=idle))
    print_reasons(console, claims.claim_details(records))


def print_agreement(console: Console, records: Iterable[Any]) -> None:
    """A table in full precision, one in half; the latter where something was measured in it."""
    records = list(records)
    half = [record for record in records if record.kind == "agreement" and record.dtype in HALF_DTYPES]
    if len(half) < sum(record.kind == "agreement" for record in records) or not half:
        show(console, agreement.agreement_table(records)[AGREEMENT_COLUMNS])
    if half:
        show(console, agreement.half_agreement_table(records)[AGREEMENT_COLUMNS], title="half precision")
    print_reasons(console, agreement.agreement_details(records))


def print_precision(console: Console, records: Iterable[Any]) -> None:
    """A table for each framework: of each method the worst cosine, its error in units, and the share that is lost."""
    records = list(records)
    table = precision.precision_table(records)
    for name in dict.fromkeys(record.framework for record in records):
        own = [column for column in table.columns if column.startswith(f"{name} ")]
        show(console, table[["method", *own]])


def print_calls(console: Console, records: Iterable[Any]) -> None:
    """One row a method, and below the table what is wrong with which call."""
    records = list(records)
    table = agreement.calls_table(records)
    show(console, table[(table.drop(columns=["method", "largest error"]) != NOT_MEASURED).any(axis=1)])
    for record in records:
        if record.kind == "call" and not record.verdict.holds:
            console.print(Text(f"{record.framework} {record.method}: {record.verdict.reason}", style="red"))


def print_mutants(
    console: Console, records: Iterable[Any], survivors: Iterable[tuple[str, str]], idle: Iterable[str]
) -> None:
    """Every mistake with the claims that reject it, the sums, and below them what is wrong."""
    records = list(records)
    show(console, mistakes.kill_list(records))
    show(console, mistakes.kill_summary(records))
    for mistake, framework in survivors:
        console.print(Text(f"{framework}: nothing rejects “{mistake}”", style="red"))
    for claim in idle:
        console.print(Text(f"{claim} rejects no mistake that nothing else catches without judging", style="red"))


def print_power(
    console: Console, records: Iterable[Any], accepted: Iterable[tuple[str, str]], blind: Iterable[tuple[str, str]]
) -> None:
    """The mistakes that claims reject, how many of each kind, and below what is wrong with the claims."""
    records = list(records)
    rejected = {mistake for killed, _ in rejecting(records).values() for mistake in killed}
    show(console, mistakes.kill_list(record for record in records if record.wrong in rejected))
    show(console, mistakes.power_table(records))
    for mistake, framework in accepted:
        console.print(Text(f"{framework}: “{mistake}” is accepted", style="red"))
    for claim, framework in blind:
        console.print(Text(f"{framework}: {claim} rejects no mistake on numbers: it is no check", style="red"))


def print_variations(console: Console, records: Iterable[Any]) -> None:
    """A line a framework, and one for each false alarm."""
    records = list(records)
    show(console, variations.variations_table(records))
    for record in records:
        for what, reason in record.failures.items() or ([("group", record.reason)] if record.status != "ok" else []):
            console.print(Text(f"{record.framework}, seed {record.seed}, {what}: {reason}", style="red"))


def print_atlas(console: Console, records: Iterable[Any]) -> None:
    """How many rows have which word; below, a line for each operation of which a number is wrong or refused."""
    records = list(records)
    if not any(record.kind == "atlas" for record in records):
        console.print(f"atlas: {NOT_MEASURED}")
    show(console, atlas.summary_table(records))
    for words in (HURTS, (UNDECIDED,), (RAISES,)):
        for _, row in atlas.operations_table(records, words=words).iterrows():
            told = (
                f"{name} {row[name]}" for name in COMPOSITIONS if row[name].split(",")[0].split(" (")[0] in WORDS[:-1]
            )
            line = f"{row['framework']} {row['operation']}: {'; '.join(told)}"
            console.print(Text(line, style="red" if words == HURTS else "yellow"))
    for record in records:
        if record.status != "ok":
            console.print(Text(f"{record.framework} {record.operation}: {record.status}: {record.reason}", style="red"))


def print_conformance(console: Console, records: Iterable[Any], summary: bool = False) -> None:
    """A line a function, in red where its word is contradicted; or how many functions have which word."""
    records = list(records)
    if summary:
        show(console, conformance.summary_table(records))
    for record in () if summary else records:
        bad = record.contradiction or (record.status == "failed" and record.reason)
        told = f"{record.framework} {record.package} {record.function}: {record.word}: {record.said}"
        console.print(Text(told, style="red" if bad else ""), soft_wrap=True)
        if bad:
            console.print(Text(f"  {bad}", style="red"), soft_wrap=True)
        if record.changes:
            console.print(Text(f"  importing it changes {record.changes}", style="yellow"), soft_wrap=True)


def print_costs(console: Console, records: Iterable[Any]) -> None:
    """A table for each workload."""
    table = costs.cost_table(records, sized=True)
    if table.empty:
        console.print(f"cost: {NOT_MEASURED}")
    table["step"] = table["framework"] + " " + table["mode"] + ": " + table["method"]
    for (workload, dtype, device), rows in table.groupby(["workload", "dtype", "device"], sort=False):
        show(console, rows[COST_COLUMNS], title=f"{workload}, {dtype}, {device}")
    by_hand = costs.by_hand_table(records)
    if not by_hand.empty:
        show(console, by_hand.drop(columns=["dtype", "device"]), title="one line beside the same step by hand")
    half = costs.half_table(records)
    for (workload, dtype), rows in half.groupby(["workload", "dtype"], sort=False):
        if (rows["beside float32"] != NONE).any():
            shown = rows[["framework", "mode", "method", "× plain", "ms a step", "ms in float32", "beside float32"]]
            show(console, shown, title=f"{workload}, {dtype} beside float32")


def print_growth(console: Console, records: Iterable[Any]) -> None:
    show(console, costs.growth_table(records))


def print_peers(console: Console, records: Iterable[Any]) -> None:
    """A table for each task."""
    table = peers.peer_table(records)
    for names, rows in table[table["task"] != ""].groupby(["task", "workload", "framework"], sort=False):
        show(console, rows.drop(columns=["task", "workload", "framework", "package"]), title=", ".join(names))


def print_effects(console: Console, records: Sequence[Any]) -> None:
    """A table for each data set and framework, what the articles say, and how far frameworks part."""
    table = effects.effects_table(records)
    for names, rows in table.groupby(["data set", "framework"], sort=False):
        show(console, rows[EFFECTS_COLUMNS], title=", ".join(names))
    for found in (
        effects.half_effects_table(records),
        effects.articles_table(finetuning.unplanned(records)),
        finetuning.planned_table(records),
        finetuning.stated_table(records),
        curves.curves_table(records),
    ):
        if len(found):
            show(console, found)


def print_selfcheck(console: Console, records: Iterable[Any]) -> None:
    show(console, costs.selfcheck_table(records).drop(columns=["dtype", "device"]))


def print_spent(console: Console, outcomes: Sequence[Outcome], seconds: float) -> None:
    """How long a run took, and the most memory that a worker of each framework held."""
    most: dict[str, float] = {}
    for outcome in outcomes:
        if outcome.memory > most.get(outcome.job.framework, 0.0):  # false for what was not measured
            most[outcome.job.framework] = outcome.memory
    held = ", ".join(f"{name} {memory:.0f} MiB" for name, memory in most.items())
    console.print(f"{seconds:.0f} s; most memory of a worker: {held or 'not known'}", highlight=False)


def show(console: Console, frame: pd.DataFrame, title: str | None = None) -> None:
    table = Table(box=box.SIMPLE, title=title, padding=(0, 1, 0, 0), pad_edge=False)
    for name in frame.columns:
        table.add_column(name, width=WIDTHS.get(name))
    for row in frame.itertuples(index=False):
        table.add_row(*map(colour_entry, row))
    console.print(table)


def colour_entry(value: str) -> Text:
    """Text, not markup: reasons may hold brackets."""
    return Text(value, style=COLOURS.get(as_entry(value).state, ""))


def print_reasons(console: Console, details: pd.DataFrame) -> None:
    """One line for everything that does not hold: what it is, and measured against expected."""
    for *names, result, reason in details.itertuples(index=False):
        if as_entry(result).state != GOOD:
            console.print(Text(f"{', '.join(names)}: {result}: {reason}", style="red"))
