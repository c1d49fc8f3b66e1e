"""Tables from records: data frames of text, one row a line shown. `skipped` never looks like `holds`.

Every table takes all records of a machine, and may take the hash of the code as it is now: what rests on a record that
other code made is then marked with STALE.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from bench.proofs.mutants import CAUGHT, FATES, KILLED, SURVIVED, fate, fates, owner, rejecting
from bench.proofs.verify import AGREEMENT
from bench.records.schema import AgreementRecord, Base, CallRecord, ClaimRecord, OwnLossRecord, VariationRecord
from bench.records.staleness import Codes, stale
from bench.records.store import latest
from equivalence.calls import calls
from equivalence.claim import Claim, claims
from equivalence.judge import Verdict, judge
from equivalence.mutant import control, mutants
from equivalence.usages import usages
from impls import FRAMEWORKS

Judged = ClaimRecord | AgreementRecord | CallRecord
Kind = TypeVar("Kind", bound=Base)

NOT_MEASURED = "not measured"
NOT_COVERED = "not covered"  # someone else's implementation does not offer it, as it says itself
STALE = "†"
NONE = "–"
MAIN_CASE = "tanh-mlp"  # small, and every claim has it
DTYPES = ("float64", "float32")
WORST_FIRST = ("FAILS", "wrong", "failed", "timeout", "oom", "interrupted", NOT_COVERED, "skipped", "holds")


def of_kind(records: Iterable[Any], kind: type[Kind]) -> list[Kind]:
    """The latest records of one kind."""
    return latest(records).kinds.get(kind.model_fields["kind"].default, [])


def verdict(record: Judged) -> Verdict:
    return record.verdict


def outcome(record: Judged) -> str:
    """holds, FAILS, or the status that stands in the place of a measurement."""
    if record.status == "unsupported":
        return NOT_COVERED
    if record.status != "ok":
        return record.status
    return "holds" if record.verdict.holds else "FAILS"


def tally(records: Sequence[Judged], missing: int = 0) -> str:
    """How many records have which outcome, worst first: "FAILS 2/6, holds 4/6"."""
    if not records:
        return NOT_MEASURED
    counts = Counter(map(outcome, records))
    cells = [f"{name} {counts[name]}/{len(records)}" for name in WORST_FIRST if counts[name]]
    return ", ".join(cells + ([f"{NOT_MEASURED} {missing}"] if missing else []))


class Shown(str):
    """A cell's text, which remembers the records that it rests on."""

    records: tuple[Any, ...]

    def __new__(cls, text: str, records: Iterable[Any]) -> "Shown":
        shown = super().__new__(cls, text)
        shown.records = tuple(records)
        return shown


def framed(rows: Sequence[Any], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A table of text. Of objects: pandas' own strings would forget which records a cell rests on."""
    return pd.DataFrame(rows, columns=columns, dtype=object)


def mark(text: str, records: Iterable[Any], code: Codes | None) -> Shown:
    """The text, marked where a record that it rests on was made with other code."""
    records = tuple(records)
    return Shown(f"{text} {STALE}".strip() if any(stale(record, code) for record in records) else text, records)


def worst(values: Iterable[float]) -> float:
    """The largest; not a number where one of them is none, or there are none."""
    return float(np.max([*values] or [math.nan]))


def frameworks(records: Iterable[Any]) -> list[str]:
    """Those of the project, then whatever else was recorded."""
    return list(dict.fromkeys([*FRAMEWORKS, *(record.framework for record in records)]))


# Claims


def claims_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a claim, measured or not."""
    found = of_kind(records, ClaimRecord)
    columns = frameworks(found)
    rows = []
    for claim in claims().values():
        own = [record for record in found if record.claim == claim.id]
        honest = [record for record in own if not record.wrong]
        cells = {name: claim_cell(claim, [r for r in honest if r.framework == name], code) for name in columns}
        shown = {"mistakes rejected": mistakes_cell(claim, own, code), "measured": mark(headline(honest), honest, code)}
        rows.append({"claim": claim.id, "what it says": claim.title} | cells | shown)
    return framed(rows)


def claim_cell(claim: Claim, records: Sequence[ClaimRecord], code: Codes | None) -> str:
    missing = set(claim.cases) - {record.case for record in records}
    return mark(tally(records, len(missing)), records, code)


def mistakes_cell(claim: Claim, records: Iterable[ClaimRecord], code: Codes | None) -> str:
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
    return mark(", ".join(said), planted, code)


def headline(records: Sequence[ClaimRecord]) -> str:
    """The worst numbers over the frameworks, on the main case or else the first that was measured."""
    measured = [record for record in records if record.status == "ok"]
    case = main_case(measured)
    by_part: dict[str, list[dict[str, float]]] = defaultdict(list)
    for record in measured:
        for name, part in record.parts.items() if record.case == case else ():
            by_part[name].append(judge(part).numbers)
    parts = list(by_part.values())
    return "; ".join(filter(None, (slopes(parts), units(parts), rates(parts)))) or NONE


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


def units(parts: Sequence[Sequence[dict[str, float]]]) -> str:
    keys = ("units", "mean units", "variance units")
    found = [numbers[key] for part in parts for numbers in part for key in keys if key in numbers]
    return f"{worst(found):.2g} rounding units" if found else ""


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


# Planted mistakes

LETTERS = {KILLED: "K", CAUGHT: "c", SURVIVED: "·"}
FATE = "fates"
Fates = dict[tuple[str, str], dict[str, str]]  # by mistake and framework, by claim


def of_mistakes(records: Iterable[Any]) -> list[Judged]:
    """The latest records of mistakes that are still planted."""
    known, found = mutants(), latest(records)
    kinds: tuple[type[Judged], ...] = (ClaimRecord, AgreementRecord, CallRecord)
    return [record for kind in kinds for record in of_kind(found, kind) if record.wrong in known]


def what_became(records: Iterable[Any]) -> Fates:
    """Of the mistakes that are still planted; judged once for all tables of the same records."""
    found = latest(records)
    if FATE not in found.remembered:
        found.remembered[FATE] = fates(of_mistakes(found))
    return found.remembered[FATE]


def checks(rows: Iterable[Mapping[str, str]]) -> list[str]:
    """The claims that some mistake was measured on, agreement last."""
    seen = {claim for row in rows for claim in row}
    return [claim for claim in [*claims(), AGREEMENT] if claim in seen]


def kill_summary(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a framework: what became of all mistakes that are planted."""
    records = latest(records)
    found, known = of_mistakes(records), what_became(records)
    columns = ["framework", "planted", "killed", "caught", "survived", NOT_MEASURED, "idle claims"]
    rows = []
    for framework in frameworks(found):
        own = [record for record in found if record.framework == framework]
        if own:
            rows_of = {mistake: row for (mistake, where), row in known.items() if where == framework}
            possible = [m.name for m in mutants().values() if framework not in m.impossible]
            counts = Counter(strongest(rows_of.get(name, {})) for name in possible)
            shown = [str(counts[what]) for what in (KILLED, CAUGHT, SURVIVED, NOT_MEASURED)]
            rest = ", ".join(idle(rows_of.values())) or NONE
            rows.append([mark(framework, own, code), str(len(possible)), *shown, rest])
    return framed(rows, columns)


def idle(rows: Collection[Mapping[str, str]]) -> list[str]:
    """What `bench.proofs.mutants.idle` says, of what became of each mistake."""
    busy = {claim for row in rows if CAUGHT not in row.values() for claim, what in row.items() if what == KILLED}
    return [claim for claim in checks(rows) if claim not in busy]


def strongest(row: Mapping[str, str]) -> str:
    """The strongest of several fates."""
    return next((what for what in FATES if what in row.values()), NOT_MEASURED)


def kill_list(records: Iterable[Any]) -> pd.DataFrame:
    """One row a mistake that was measured: in each framework how many claims kill it, of those measured; and which."""
    known = what_became(records)
    columns, order = list(dict.fromkeys(framework for _, framework in known)), checks(known.values())
    rows = []
    for mutant in mutants().values():
        own = {name: known[mutant.name, name] for name in columns if (mutant.name, name) in known}
        if own:
            cells = {name: NONE if name in mutant.impossible else kill_count(own.get(name, {})) for name in columns}
            rows.append({"planted mistake": mutant.name} | cells | {"killed by": killers(own.values(), order)})
    return framed(rows, ["planted mistake", *columns, "killed by"])


def kill_count(row: Mapping[str, str]) -> str:
    """Claims that kill, of those measured; in words where none rejects."""
    if (what := strongest(row)) in (SURVIVED, NOT_MEASURED):
        return what.upper() if what == SURVIVED else what
    return f"{Counter(row.values())[KILLED]}/{len(row)}"


def killers(rows: Iterable[Mapping[str, str]], order: Sequence[str]) -> str:
    """The claims that kill in all frameworks; after them those of one alone, and those that only catch."""
    by_claim = {claim: {row.get(claim, "") for row in rows} for claim in order}
    groups = {
        "": [claim for claim in order if by_claim[claim] == {KILLED}],
        "not everywhere: ": [claim for claim in order if {KILLED} < by_claim[claim]],
        "caught: ": [claim for claim in order if KILLED not in by_claim[claim] and CAUGHT in by_claim[claim]],
    }
    return "; ".join(word + " ".join(found) for word, found in groups.items() if found)


def power_table(records: Iterable[Any]) -> pd.DataFrame:
    """One row a claim and framework: how many mistakes it rejects on numbers, of its own and of all others."""
    rows = []
    for (claim, framework), (killed, met) in rejecting(of_mistakes(records)).items():
        own = {mistake for mistake in met if owner(mutants()[mistake]) == claim}
        counts = [f"{len(group & set(killed))}/{len(group)}" if group else NONE for group in (own, set(met) - own)]
        rows.append([claim, framework, *counts])
    return framed(rows, ["claim", "framework", "rejects of its own", "of others"])


def kill_matrix(records: Iterable[Any]) -> pd.DataFrame:
    """One row a mistake, one column a claim: a letter for each framework, nothing where it was not measured."""
    known = what_became(records)
    columns, order = list(dict.fromkeys(framework for _, framework in known)), checks(known.values())
    rows = []
    for mutant in mutants().values():
        own = [known.get((mutant.name, name), {}) for name in columns]
        if any(own):
            letters = {claim: letters_of(row.get(claim, "") for row in own) for claim in order}
            rows.append({"family": mutant.family, "planted mistake": mutant.name, "copies": mutant.copies} | letters)
    return framed(rows, ["family", "planted mistake", "copies", *order])


def letters_of(found: Iterable[str]) -> str:
    """A letter a framework, or nothing where none measured it."""
    letters = "".join(LETTERS.get(what, NONE) for what in found)
    return letters if letters.strip(NONE) else ""


# Variations


def variations_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a framework: how many right variations were measured, and how many a check refused."""
    found = of_kind(records, VariationRecord)
    rows = []
    for name in frameworks(found):
        own = [record for record in found if record.framework == name]
        alarms = sum(len(record.failures) + (record.status != "ok") for record in own)
        measured = str(sum(record.count for record in own)) if own else NOT_MEASURED
        rows.append(
            {
                "framework": name,
                "variations": mark(measured, own, code),
                "false alarms": str(alarms) if own else NONE,
                "largest error": f"{worst(record.worst for record in own):.2g}" if own else NONE,
            }
        )
    return framed(rows)


# Agreement


def agreements(records: Iterable[Any]) -> list[AgreementRecord]:
    """Those without a planted mistake."""
    return [record for record in of_kind(records, AgreementRecord) if not record.wrong]


def agreement_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a usage. Cells "value · θ-gradient": the largest errors over the cases, in rounding units × condition."""
    found = agreements(records)
    columns = frameworks(found)
    rows = []
    for usage in usages():
        own = [record for record in found if record.usage == usage]
        cells = {
            f"{name} {dtype}": units_cell([r for r in own if (r.framework, r.dtype) == (name, dtype)], code)
            for name in columns
            for dtype in DTYPES
        }
        summary = {
            "condition": condition(own),
            "largest error": largest_error(own),
            "between frameworks": between_frameworks(own),
            "verdict": mark(tally(own), own, code),
        }
        rows.append({"usage": usage} | cells | summary)
    return framed(rows)


def units_cell(records: Sequence[AgreementRecord], code: Codes | None) -> str:
    measured = [record for record in records if record.status == "ok"]
    if not measured:
        return tally(records)
    errors = [unit_errors(record) for record in measured]
    said = " · ".join(f"{worst(column):.2g}" for column in zip(*errors, strict=True))
    return mark(said, measured, code)


def unit_errors(record: AgreementRecord) -> tuple[float, float]:
    """Of the value and of the θ-gradient; not a number where the measurement could not be judged."""
    numbers = record.verdict.numbers
    return numbers.get("value units", math.nan), numbers.get("gradient units", math.nan)


def largest_error(records: Sequence[AgreementRecord]) -> str:
    measured = {
        f"{record.framework} {record.dtype} {record.case}": worst(unit_errors(record))
        for record in records
        if record.status == "ok"
    }
    return largest_entry(measured)


def largest_entry(named: dict[str, float]) -> str:
    """The largest value with its name; one that is not a number counts as the largest."""
    if not named:
        return NONE
    name = max(named, key=lambda name: math.inf if math.isnan(named[name]) else named[name])
    return f"{named[name]:.2g} ({name})"


def condition(records: Sequence[AgreementRecord]) -> str:
    """How much the usage's result moves, at most, relative to a movement of its inputs."""
    measured = [numbers(record, "condition") for record in records if record.status == "ok"]
    return f"{worst(values.max() for values in measured):.2g}" if measured else NONE


def between_frameworks(records: Sequence[AgreementRecord]) -> str:
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
        cells = {name: calls_cell([r for r in own if r.framework == name], code) for name in columns}
        errors = {f"{r.framework}: {name}": worst(errors_of(part)) for r in own for name, part in r.parts.items()}
        rows.append({"method": method} | cells | {"largest error": largest_entry(errors)})
    return framed(rows)


def calls_cell(records: Sequence[CallRecord], code: Codes | None) -> str:
    """What came of a method's calls, and how many there were."""
    if not records or records[0].status != "ok":
        return tally(records)
    record = records[0]
    said = f"{outcome(record)}, {len(record.parts)} calls"
    return mark(said, records, code)


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
        cells = {
            f"{a} – {b} {dtype}": pair_cell([r for r in own if r.framework in (a, b) and r.dtype == dtype], code)
            for a, b in pairs
            for dtype in DTYPES
        }
        rows.append({"method": method} | cells)
    return framed(rows)


def pair_cell(records: Sequence[AgreementRecord], code: Codes | None) -> str:
    """The largest difference of the two frameworks in these records."""
    measured = differences(records, lambda a, b: a.case)
    return mark(largest_entry(measured), records, code) if measured else NOT_MEASURED


# The frameworks' own losses


def own_losses_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a loss: whether its second derivative and its third are right."""
    columns = ["framework", "its own loss", "twice", "three times"]
    rows = [
        (record.framework, record.loss, *(mark(own_loss_cell(record, times), [record], code) for times in columns[2:]))
        for record in of_kind(records, OwnLossRecord)
    ]
    return framed(rows, columns)


def own_loss_cell(record: OwnLossRecord, times: str) -> str:
    return record.derivatives.get(times, NOT_MEASURED) if record.status == "ok" else f"{record.status}: {record.reason}"
