"""What to look at in an implementation that fails: what was claimed and measured, where it differs, what it is like."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from bench.report import tables, terminal
from bench.report.tables import NOT_MEASURED, verdict
from bench.resemblance import Resemblance
from bench.store import AgreementRecord, ClaimRecord
from equivalence.claim import claims
from equivalence.foreign.difference import SHOWN
from equivalence.judge import AGREEMENT_UNITS
from equivalence.mutant import mutants

AGREEMENT = "F", "Every method agrees with the oracle, in value and parameter gradient"
AGREEMENT_FORMULA = f"|method - oracle| ≤ {AGREEMENT_UNITS} u·(size + condition), u the rounding unit"
MOST = 4  # of a kind that are shown in a terminal; all are in the records
NO_MISTAKES = "what mistake it resembles is known once `python -m bench mutants --framework {framework}` has been run"


def print_verified(console: Console, records: Collection[Any], framework: str) -> None:
    """One row a claim and a usage, of those that were measured."""
    claimed, agreed = tables.claims_table(records), tables.agreement_table(records)
    if any(isinstance(record, ClaimRecord) for record in records):
        claimed = claimed[claimed[framework] != NOT_MEASURED]
        terminal.show(console, claimed[["claim", "what it says", framework, "measured"]])
    if any(isinstance(record, AgreementRecord) for record in records):
        agreed = agreed[agreed["verdict"] != NOT_MEASURED]
        terminal.show(console, agreed[["usage", "largest error", "verdict"]])


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


def failures(records: Collection[Any]) -> Iterator[list[str]]:
    """For each claim that fails its statement, formula and measurements; cases with the same outcome share a line."""
    failed: dict[tuple[str, str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        if not verdict(record).holds:
            where = record.case if isinstance(record, ClaimRecord) else f"{record.usage} ({record.case} {record.dtype})"
            failed[stated(record)][outcome(record)].append(where)
    order = [*claims(), AGREEMENT[0]]
    for (name, title, formula), outcomes in sorted(failed.items(), key=lambda item: order.index(item[0][0])):
        found = [f"on {some(places)}: {said}" for said, places in outcomes.items()]
        more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
        yield [f"{name} fails: {title}", formula, *found[:MOST], *more]


def stated(record: Any) -> tuple[str, str, str]:
    """A record's claim: id, words, formula."""
    if isinstance(record, AgreementRecord):
        return *AGREEMENT, AGREEMENT_FORMULA
    claim = claims()[record.claim]
    return claim.id, claim.title, claim.formula


def outcome(record: Any) -> str:
    """Measured against expected, or why nothing was measured."""
    return f"{'' if record.status == 'ok' else f'{record.status}: '}{verdict(record).reason}"


def some(places: list[str]) -> str:
    more = f" and {len(places) - MOST} more" if len(places) > MOST else ""
    return ", ".join(places[:MOST]) + more


def explained(record: Any, advice: Iterable[str]) -> str:
    """All of it in one text: a failed record's reason."""
    _, title, formula = stated(record)
    return "\n".join([f"{title}: {formula}", f"on {record.case}: {outcome(record)}", *advice])


def about(name: str, difference: dict[str, Any], resembles: Resemblance | None, framework: str) -> str:
    """What to look at in one function."""
    found = list(compared(name, difference))
    return "\n".join(found if "error" in difference else [*found, f"  {likeness(resembles, framework)}"])


def compared(name: str, difference: dict[str, Any]) -> Iterator[str]:
    """The first input on which it differs from the reference."""
    if "error" in difference:
        yield f"{name} could not be compared with the reference: {difference['error']}"
    elif "agree" in difference:
        yield f"{name} gives the reference's numbers in all of {difference['agree']} calls that were compared:"
        yield "  what is wrong is a gradient through it (what is held fixed, what is not), or another function"
    else:
        options = ", ".join(f"{key}={value!r}" for key, value in difference["options"].items())
        place = f"in the usage {difference['usage']!r} on {difference['case']}, {difference['dtype']}"
        yield f"{name}({options}) first differs from the reference {place}, in sample {difference['sample']}:"
        if "input" in difference:
            yield f"  {difference['argument']:<9} {row(difference['input'])}"
        yield f"  {'yours':<9} {row(difference['yours'])}"
        yield f"  {'reference':<9} {row(difference['reference'])}"
        yield f"  off by {difference['units']:.2g} rounding units"


def row(numbers: list[float]) -> str:
    return "  ".join(f"{number:.6g}" for number in numbers) + ("  …" if len(numbers) == SHOWN else "")


def likeness(resembles: Resemblance | None, framework: str) -> str:
    if resembles is None:
        return NO_MISTAKES.format(framework=framework)
    words = ("fails as", " does") if resembles.alike == resembles.checks else ("most resembles", "")
    known = f"the known mistake {resembles.mistake!r} ({mutants()[resembles.mistake].copies})"
    checks = f"{resembles.alike} of {resembles.checks} checks come out alike"
    return f"{words[0]} {known}{words[1]}: {checks}"
