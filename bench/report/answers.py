"""What records say, in a line a question, on which machine, and what to know before believing it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.costs.cells import FLOAT32
from bench.records.schema import AgreementRecord, Block
from bench.records.staleness import Codes, stale
from bench.records.store import latest
from bench.report.tables.agreement import agreements, differences, largest_entry
from bench.report.tables.effects import PLAIN
from bench.report.tables.entries import BAD, GOOD, NEUTRAL, NONE, NOT_MEASURED, OPEN, STALE, Entry, framed
from bench.report.tables.outcomes import DTYPES
from bench.report.tables.paired import UNDECIDED
from bench.train.datasets import USUAL
from equivalence.claim import claims
from equivalence.mutant import mutants
from equivalence.published.package import WORDS, WRONG
from equivalence.usages import usages
from impls import FRAMEWORKS

PRICED = {  # methods whose cost is told first: name in the tables, as people say it
    "fgm": "FGM",
    "gradient_penalty": "gradient penalty",
    "vat": "VAT",
    "pgd-10": "PGD-10",
}
HOLDS, NOTICED, AGREE = "Does it hold?", "Would a mistake be noticed?", "Do the frameworks agree?"
BY = {"by accuracy": "verdict", "by likelihood": "NLL verdict"}
HEADLINES = "fgm", "gradient penalty", "vat"  # regimes that the articles are about
COST, BRINGS = "What does it cost?", "What does it bring?"


@dataclass(frozen=True)
class Finding:
    """A question that people come with, its answer on a machine, and the records that the answer rests on."""

    question: str
    answer: str
    detail: str
    records: tuple[Any, ...] = ()
    whole: bool = True  # whether it is all that is asked; a part answers where no machine has the whole

    def better_than(self, other: "Finding") -> bool:
        """Whether it answers what the other one, of a newer machine, does not, or the whole of it."""
        if NOT_MEASURED in (self.answer, other.answer):
            return bool(self.answer != NOT_MEASURED)
        return self.whole and not other.whole


@dataclass(frozen=True)
class Answer:
    """A finding, the place of its machine among all, and on which machine and with which code it was measured."""

    finding: Finding
    place: int
    measured: str


def findings(shown: Mapping[str, pd.DataFrame], records: Sequence[Any]) -> list[Finding]:
    """Answer each question from a machine's tables by name (`page.make_tables`) and the records behind them."""
    return [
        state_claims(shown["claims"]),
        state_mistakes(shown["mistakes"]),
        state_agreement(shown["agreement"], shown["half_agreement"], agreements(records)),
        state_costs(shown["cost"]),
        state_effects(shown["effects"]),
        *state_plans(shown["planned"]),
        *state_published(shown["published_functions"]),
    ]


def table(found: Sequence[Finding]) -> pd.DataFrame:
    """One row a finding."""
    return framed([(each.question, each.answer, each.detail) for each in found], ("question", "answer", "detail"))


def choose_newest(machines: Sequence[Mapping[str, Any]], code: Codes | None) -> list[Answer]:
    """Answer each question by the first machine that has a whole answer, or else by the first that has one.

    Machines come newest first (`page.sections`).
    """
    chosen: dict[str, Answer] = {}
    for place, machine in enumerate(machines):
        for found in machine["found"]:
            known = chosen.get(found.question)
            if known is None or found.better_than(known.finding):
                chosen[found.question] = Answer(found, place, tell_origin(machine["name"], found.records, code))
    return list(chosen.values())


def tell_origin(machine: str, records: Sequence[Any], code: Codes | None) -> str:
    """Name the machine, the day of its newest record, and how many of them other code than this made."""
    if not records:
        return NONE
    said = f"{machine}, {max(record.time for record in records)[:10]}"
    outdated = sum(stale(record, code) for record in records)
    return f"{said}; {STALE} {outdated} of {len(records)} records are of other code" if outdated else said


def newest_table(found: Sequence[Answer]) -> pd.DataFrame:
    """One row a question, with the machine that answers it."""
    columns = ("question", "answer", "detail", "measured on")
    return framed([(f.finding.question, f.finding.answer, f.finding.detail, f.measured) for f in found], columns)


def collect_records(table: pd.DataFrame) -> tuple[Any, ...]:
    """The records that any entry of a table rests on, each once."""
    found = {id(record): record for row in table.to_numpy() for entry in row for record in entry.records}
    return tuple(found.values())


def state_claims(table: pd.DataFrame) -> Finding:
    """Claims that hold on every case in every framework of the project."""
    table = table.set_index("claim")
    states = table[list(FRAMEWORKS)].map(lambda entry: entry.state)
    failing = states.index[(states == BAD).any(axis=1)]
    full = states.index[(states == GOOD).all(axis=1)]
    if not states.isin([GOOD, BAD]).any(axis=None):
        return Finding(HOLDS, NOT_MEASURED, "")
    answer = f"{len(full)} of {len(claims())} claims hold on every case in {', '.join(FRAMEWORKS)}"
    behind = collect_records(table[list(FRAMEWORKS)])
    return Finding(HOLDS, answer, list_names("does not hold", failing), behind)


def list_names(word: str, names: Iterable[str]) -> str:
    names = list(names)
    return f"{word}: {', '.join(names)}" if names else ""


def state_mistakes(table: pd.DataFrame) -> Finding:
    """What became of planted mistakes."""
    if table.empty:
        return Finding(NOTICED, NOT_MEASURED, f"{len(mutants())} mistakes can be planted")
    rows = [
        f"{row['framework']}: {row['killed']} of {row['planted']} rejected by numbers, {row['caught']} by an error"
        for _, row in table.iterrows()
    ]
    survived, missing = (int(sum(entry.number for entry in table[name])) for name in ("survived", NOT_MEASURED))
    answer = "No planted mistake survives" if not survived else f"{survived} planted mistakes survive"
    answer += f"; {missing} {NOT_MEASURED}" if missing else ""
    outdated = any(entry.stale for entry in table["framework"])
    states = (OPEN if missing else NEUTRAL), (OPEN if outdated else NEUTRAL)
    detail = Entry("; ".join(rows), state=states[1])
    return Finding(NOTICED, Entry(answer, state=states[0]), detail, collect_records(table))


def state_agreement(table: pd.DataFrame, half: pd.DataFrame, found: Sequence[AgreementRecord]) -> Finding:
    """Usages of methods that agree with the oracle wherever they were measured."""
    states = [entry.state for entry in table["verdict"]]
    failing = [
        f"{usage}{where}"
        for rows, where in ((table, ""), (half, " in half precision"))
        for usage, verdict in zip(rows["usage"], rows["verdict"], strict=True)
        if verdict.state == BAD
    ]
    if not failing and GOOD not in states:
        return Finding(AGREE, NOT_MEASURED, "")
    held = states.count(GOOD)
    answer = f"{held} of {len(usages())} uses of the methods agree with the oracle"
    detail = list_names("does not agree", failing)
    if held and not detail:
        full = [record for record in found if record.dtype in DTYPES]
        largest = largest_entry(differences(full, lambda a, b: f"{a.usage}, {a.framework} – {b.framework}"))
        detail = f"largest difference between two frameworks, in rounding units × condition: {largest}"
    return Finding(AGREE, answer, detail, tuple(found))


def state_costs(table: pd.DataFrame) -> Finding:
    """Between which costs a step of the usual methods lies, in plain steps, over workloads, frameworks and modes."""
    ratios_of = table["× plain"].map(lambda entry: entry.number)
    table = table[np.isfinite(ratios_of.astype(float)) & (table["dtype"] == FLOAT32)]
    parts = []
    for method, name in PRICED.items():
        ratios = [entry.number for entry in table["× plain"][table["method"] == method]]
        if ratios:
            low, high = min(ratios), max(ratios)
            parts.append(f"{name} {low:.1f}–{high:.1f}" if f"{low:.1f}" != f"{high:.1f}" else f"{name} {low:.1f}")
    answer = f"In plain training steps: {', '.join(parts)}" if parts else NOT_MEASURED
    places = ", ".join(dict.fromkeys(table["workload"]))
    return Finding(COST, answer, f"over {places}", collect_records(table)) if parts else Finding(COST, answer, "")


def state_effects(table: pd.DataFrame) -> Finding:
    """How many regimes did better than plain training, and worse, by accuracy and by likelihood.

    No regime is the headline: the best of so many would be, by chance, too.
    """
    table = table[table["regime"] != PLAIN]
    if table.empty:
        return Finding(BRINGS, NOT_MEASURED, "")
    said = [f"{name} {count_words(table[column])}" for name, column in BY.items()]
    shown = [
        f"{regime} {count_words(rows['verdict'])}"
        for regime in HEADLINES
        if not (rows := table[table["regime"] == regime]).empty
    ]
    answer = f"Of {len(table)} comparisons with plain training: {'; '.join(said)}"
    detail = f"accuracy of {'; '.join(shown)}" if shown else ""
    whole = set(USUAL) <= set(map(str, table["data set"]))
    return Finding(BRINGS, answer, detail, collect_records(table), whole)


def count_words(words: pd.Series) -> str:
    counts = words.astype(str).value_counts()
    return ", ".join(f"{counts[word]} {word}" for word in ("better", "worse", UNDECIDED) if word in counts)


def state_plans(table: pd.DataFrame) -> list[Finding]:
    """What each plan that has begun found in accuracy, all that it compares told, once all of its seeds are there."""
    found = []
    for (plan, data), rows in table.groupby(["plan", "data set"], sort=False):
        rows = rows[rows["measure"].str.startswith("accuracy") & ~rows["measure"].str.startswith("accuracy elsewhere")]
        said = [f"{row['compared']} {row['difference']}: {row['verdict']}" for _, row in rows.iterrows()]
        seeds = ", ".join(dict.fromkeys(rows["seeds"]))
        question = f"{BRINGS[:-1]} to an encoder ({plan}, {data})?"
        if any(entry.number < 1 for entry in rows["seeds"]):
            found.append(Finding(question, "not finished", f"seeds: {seeds}", collect_records(rows)))
        else:
            detail = f"points of accuracy; seeds: {seeds}"
            found.append(Finding(question, "; ".join(said), detail, collect_records(rows)))
    return found


def state_published(table: pd.DataFrame) -> list[Finding]:
    """How many functions of published packages have which word, and which are wrong."""
    usable = table[table["word"].map(lambda entry: entry.text in WORDS).astype(bool)]
    if usable.empty:
        return []
    words = usable["word"].map(lambda entry: entry.text).value_counts()
    said = ", ".join(f"{words[word]} {word}" for word in reversed(WORDS) if word in words)
    wrong = [
        f"{row['package']} {row['function']} ({row['framework']})"
        for _, row in usable[usable["word"].map(lambda entry: entry.text) == WRONG].iterrows()
    ]
    answer = f"Of {len(usable)} functions of {usable['package'].nunique()} packages: {said}"
    detail = list_names("wrong", wrong)
    return [Finding("Which published packages are right?", answer, detail, collect_records(usable))]


def caveats(records: Sequence[Any], problems: Sequence[str], code: Codes | None) -> list[str]:
    """What a reader must know besides: nothing of it is left out of the tables, and nothing is in the answers."""
    found = latest(records)
    said = []
    if problems:
        said.append(f"{len(problems)} lines of the records' file are no records, and were left out")
    if outdated := [record for record in found if stale(record, code)]:
        kinds = pd.Series([record.kind for record in outdated]).value_counts()
        each = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        said.append(f"{len(outdated)} of {len(found)} records were made with other code than this: {each}")
    if disturbed := sum(isinstance(record, Block) and record.disturbed for record in found):
        said.append(f"{disturbed} timed blocks were disturbed by other processes, and left out")
    bad = [
        record for record in found if record.status not in ("ok", "interrupted") and not getattr(record, "wrong", "")
    ]
    if bad:
        words = pd.Series([record.status for record in bad]).value_counts()
        said.append(f"without a result: {', '.join(f'{count} {word}' for word, count in words.items())}")
    if not any(getattr(record, "device", "") == "cuda" for record in found):
        said.append(f"on a GPU: {NOT_MEASURED} here")
    return said
