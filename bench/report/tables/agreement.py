"""Methods against the oracle, called in training and by themselves; and framework against framework."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from bench.records.blind import is_blind
from bench.records.schema import AgreementRecord, CallRecord
from bench.records.staleness import Codes
from bench.report.tables.entries import NONE, NOT_MEASURED, Entry, framed, mark
from bench.report.tables.outcomes import DTYPES, HALF_DTYPES, column, frameworks, of_kind, outcome, tally, worst
from equivalence.calls import calls
from equivalence.cases import REGISTRY
from equivalence.judge import judge
from equivalence.measure import HALF_CASE
from equivalence.usages import usages


def agreements(records: Iterable[Any]) -> list[AgreementRecord]:
    """The records of agreement without a planted mistake."""
    return [record for record in of_kind(records, AgreementRecord) if not record.wrong]


def agreement_table(records: Iterable[Any], code: Codes | None = None, dtypes: Sequence[str] = DTYPES) -> pd.DataFrame:
    """One row a usage. Cells "value · θ-gradient": the largest errors over the cases, in rounding units × condition."""
    found = [record for record in agreements(records) if record.dtype in dtypes]
    columns = frameworks(found)
    rows = []
    for usage in usages() if dtypes == DTYPES else measured_in_half():
        own = [record for record in found if record.usage == usage]
        entries = {
            column(name, dtype): errors_entry([r for r in own if (r.framework, r.dtype) == (name, dtype)], code)
            for name in columns
            for dtype in dtypes
        }
        summary = {
            "condition": condition(own),
            "largest error": largest_error(own),
            "between frameworks": between_frameworks(own),
            "verdict": mark(tally(own), own, code),
        }
        rows.append({"usage": usage} | entries | summary)
    return framed(rows)


def measured_in_half() -> list[str]:
    """The usages that are measured in half precision, one a method."""
    case = REGISTRY[HALF_CASE]()
    return [usage.name for usage in usages().values() if usage.main and usage.applies(case)]


def half_agreement_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """The same in half precision: of a case's numbers, or of the model alone where the framework mixes precisions."""
    return agreement_table(records, code, HALF_DTYPES)


def errors_entry(records: Sequence[AgreementRecord], code: Codes | None) -> Entry:
    measured = [record for record in records if record.status == "ok"]
    if not measured:
        return tally(records)
    errors = [unit_errors(record) for record in measured]
    value, gradient = (worst(each) for each in zip(*errors, strict=True))
    return mark(Entry(f"{value:.2g} · {gradient:.2g}", value), measured, code)


def unit_errors(record: AgreementRecord) -> tuple[float, float]:
    """The errors of the value and of the θ-gradient; not a number where the measurement could not be judged."""
    numbers = record.verdict.numbers
    return numbers.get("value units", math.nan), numbers.get("gradient units", math.nan)


def largest_error(records: Sequence[AgreementRecord]) -> Entry:
    measured = {
        f"{record.framework} {record.dtype} {record.case}": worst(unit_errors(record))
        for record in records
        if record.status == "ok"
    }
    return largest_entry(measured)


def largest_entry(named: dict[str, float]) -> Entry:
    """The largest value with its name; one that is not a number counts as the largest."""
    if not named:
        return NONE
    name = max(named, key=lambda name: math.inf if math.isnan(named[name]) else named[name])
    return Entry(f"{named[name]:.2g} ({name})", named[name])


def condition(records: Sequence[AgreementRecord]) -> Entry:
    """How much the usage's result moves, at most, relative to a movement of its inputs."""
    measured = [numbers(record, "condition").max() for record in records if record.status == "ok"]
    return Entry(f"{worst(measured):.2g}", worst(measured)) if measured else NONE


def between_frameworks(records: Sequence[AgreementRecord]) -> Entry:
    """The largest difference of two frameworks on the same case and dtype."""
    return largest_entry(differences(records, lambda a, b: f"{a.framework}, {b.framework}: {a.dtype} {a.case}"))


def differences(
    records: Sequence[AgreementRecord], named: Callable[[AgreementRecord, AgreementRecord], str]
) -> dict[str, float]:
    """How far frameworks differ that measured the same usage on the same case and dtype; the largest of each name."""
    groups: dict[tuple[str, ...], list[AgreementRecord]] = defaultdict(list)
    for record in records:
        if record.status == "ok":
            groups[record.usage, record.case, record.dtype].append(record)
    found: dict[str, float] = {}
    for group in groups.values():
        for a, b in combinations(group, 2):
            found[named(a, b)] = worst([difference(a, b), found.get(named(a, b), 0.0)])
    return found


def difference(a: AgreementRecord, b: AgreementRecord) -> float:
    """Their errors are signed and against the same oracle: subtracted, they are the two frameworks' difference."""
    pairs = [(numbers(a, name), numbers(b, name)) for name in ("value", "gradient")]
    if any(left.shape != right.shape for left, right in pairs):
        return math.nan
    return worst(np.abs(left - right).max() for left, right in pairs)


def numbers(record: AgreementRecord, name: str) -> np.ndarray:
    """A stored list; not a number where it is missing or holds something else."""
    try:
        values = np.asarray(record.measurement.get(name), dtype=float)
    except (TypeError, ValueError):
        return np.array([math.nan])
    return values if values.size else np.array([math.nan])


def calls_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a method that was called by itself: how many calls were made in each framework, and what came of them."""
    found = [record for record in of_kind(records, CallRecord) if not record.wrong]
    columns = frameworks(found)
    rows = []
    for method in dict.fromkeys(call.method for call in calls().values()):
        own = [record for record in found if record.method == method]
        entries = {name: calls_entry([r for r in own if r.framework == name], code) for name in columns}
        errors = {f"{r.framework}: {name}": worst(errors_of(part)) for r in own for name, part in r.parts.items()}
        rows.append({"method": method} | entries | {"largest error": largest_entry(errors)})
    return framed(rows)


def calls_entry(records: Sequence[CallRecord], code: Codes | None) -> Entry:
    """What came of a method's calls, and how many there were."""
    if not records or records[0].status != "ok":
        return tally(records)
    held, parts = outcome(records[0]), records[0].parts
    blind = sum("condition" in part and is_blind(part) for part in parts.values())
    said = f"{held}, {len(parts)} calls" + (f", of which {blind} show nothing" if blind else "")
    return mark(Entry(said, state=held.state), records, code)


def errors_of(part: dict[str, Any]) -> tuple[float, ...]:
    """The largest errors of a call, in rounding units; not a number where it raised."""
    if "error" in part:
        return (math.nan,)
    numbers = judge(part).numbers
    return numbers.get("value units", math.nan), numbers.get("gradient units", math.nan)


def agreement_details(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a usage, framework, case and dtype."""
    columns = ["usage", "framework", "case", "dtype", "result", "reason"]
    rows = [
        (r.usage, r.framework, r.case, r.dtype, mark(outcome(r), [r], code), r.verdict.reason)
        for r in agreements(records)
    ]
    return framed(rows, columns)


def cross_framework_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a method, one column a pair of frameworks and dtype: their largest difference over all cases and usages.

    In rounding units × condition, the case in brackets.
    """
    found = agreements(records)
    pairs = list(combinations(frameworks(found), 2))
    rows = []
    for method in dict.fromkeys(usage.method for usage in usages().values()):
        own = [record for record in found if record.method == method]
        entries = {
            f"{a} – {b} {dtype}": pair_entry([r for r in own if r.framework in (a, b) and r.dtype == dtype], code)
            for a, b in pairs
            for dtype in DTYPES
        }
        rows.append({"method": method} | entries)
    return framed(rows)


def pair_entry(records: Sequence[AgreementRecord], code: Codes | None) -> Entry:
    """The largest difference of the two frameworks in these records."""
    measured = differences(records, lambda a, b: a.case)
    return mark(largest_entry(measured), records, code) if measured else NOT_MEASURED
