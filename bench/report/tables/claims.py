"""Claims: whether each holds, on which cases, and what was measured of it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from bench.proofs.mutants import KILLED, SURVIVED, fate
from bench.records.schema import ClaimRecord
from bench.records.staleness import Codes
from bench.report.tables.entries import BAD, NEUTRAL, NONE, NOT_MEASURED, OPEN, Entry, framed, mark
from bench.report.tables.outcomes import frameworks, of_kind, outcome, tally, worst
from equivalence.claim import Claim, claims
from equivalence.judge import judge
from equivalence.mutant import control

MAIN_CASE = "tanh-mlp"  # small, and every claim has it


def claims_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a claim, measured or not."""
    found = of_kind(records, ClaimRecord)
    columns = frameworks(found)
    rows = []
    for claim in claims().values():
        own = [record for record in found if record.claim == claim.id]
        honest = [record for record in own if not record.wrong]
        entries = {name: claim_entry(claim, [r for r in honest if r.framework == name], code) for name in columns}
        shown = {
            "mistakes rejected": mistakes_entry(claim, own, code),
            "measured": mark(headline(honest), honest, code),
        }
        rows.append({"claim": claim.id, "what it says": claim.title} | entries | shown)
    return framed(rows)


def claim_entry(claim: Claim, records: Sequence[ClaimRecord], code: Codes | None) -> Entry:
    missing = set(claim.cases) - {record.case for record in records}
    return mark(tally(records, len(missing)), records, code)


def mistakes_entry(claim: Claim, records: Iterable[ClaimRecord], code: Codes | None) -> Entry:
    """Rejected of planted: each of the claim's own mistakes in each framework that measured some."""
    names = {control(claim, words) for words in claim.wrong}
    planted = [record for record in records if record.wrong in names]
    if not planted:
        return NOT_MEASURED
    found = Counter(map(fate, planted))
    rejected, accepted = found[KILLED], found[SURVIVED]
    total = len(names) * len({record.framework for record in planted})
    others = {"ACCEPTED": accepted, NOT_MEASURED: total - rejected - accepted}
    said = [f"{rejected}/{total}", *(f"{name} {count}" for name, count in others.items() if count)]
    state = BAD if accepted else OPEN if others[NOT_MEASURED] else NEUTRAL
    return mark(Entry(", ".join(said), rejected, state), planted, code)


def headline(records: Sequence[ClaimRecord]) -> Entry:
    """The worst numbers over the frameworks, on the main case or else the first that was measured."""
    measured = [record for record in records if record.status == "ok"]
    case = main_case(measured)
    by_part: dict[str, list[dict[str, float]]] = defaultdict(list)
    for record in measured:
        for name, part in record.parts.items() if record.case == case else ():
            by_part[name].append(judge(part).numbers)
    parts = list(by_part.values())
    rounding = rounding_units(parts)
    told = "; ".join(filter(None, (slopes(parts), rounding, rates(parts))))
    return Entry(told or NONE, rounding.number)


def main_case(records: Sequence[ClaimRecord]) -> str:
    names = [record.case for record in records]
    return MAIN_CASE if MAIN_CASE in names or not names else names[0]


def slopes(parts: Sequence[Sequence[dict[str, float]]]) -> str:
    fitted = [found for part in parts if (found := [numbers for numbers in part if "slope" in numbers])]
    if not fitted:
        return ""
    furthest = [max(part, key=lambda numbers: abs(numbers["slope"] - numbers["expected slope"])) for part in fitted]
    said = ", ".join(f"{numbers['slope']:.3f} ({numbers['expected slope']:g})" for numbers in furthest)
    off = worst(numbers["coefficient error"] for part in fitted for numbers in part)
    return f"slope {said}, coefficient off by {off:.2%}"


def rounding_units(parts: Sequence[Sequence[dict[str, float]]]) -> Entry:
    keys = ("units", "mean units", "variance units")
    found = [numbers[key] for part in parts for numbers in part for key in keys if key in numbers]
    return Entry(f"{worst(found):.2g} rounding units", worst(found)) if found else Entry("")


def rates(parts: Sequence[Sequence[dict[str, float]]]) -> str:
    found = [numbers for part in parts for numbers in part if "rate" in numbers]
    if not found:
        return ""
    furthest = max(found, key=lambda numbers: abs(numbers["rate"] / numbers["expected rate"] - 1))
    return f"rate {furthest['rate']:.4f} ({furthest['expected rate']:.4f})"


def claim_details(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a claim, framework and case."""
    columns = ["claim", "framework", "case", "result", "reason"]
    rows = [
        (record.claim, record.framework, record.case, mark(outcome(record), [record], code), record.verdict.reason)
        for record in of_kind(records, ClaimRecord)
        if not record.wrong
    ]
    return framed(rows, columns)
