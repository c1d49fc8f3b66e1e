"""Planted mistakes: what became of each, and how much each claim rejects."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.proofs.mutants import CAUGHT, FATES, KILLED, SURVIVED, fates, owner, rejecting
from bench.proofs.verify import AGREEMENT
from bench.records.schema import AgreementRecord, CallRecord, ClaimRecord
from bench.records.staleness import Codes
from bench.records.store import latest
from bench.report.tables.entries import BAD, NONE, NOT_MEASURED, Entry, count, framed, mark
from bench.report.tables.outcomes import Judged, frameworks, of_kind
from equivalence.claim import claims
from equivalence.mutant import mutants

LETTERS = {KILLED: "K", CAUGHT: "c", SURVIVED: "·"}
FATE = "fates"
OWNERS = {  # of repositories that everybody calls by their names
    "adversarial-attacks-pytorch": "Harry24k",
    "adversarial-robustness-toolbox": "Trusted-AI",
    "cleverhans": "cleverhans-lab",
    "foolbox": "bethgelab",
}
ORIGIN = re.compile(
    r"(?:(?P<owner>[A-Za-z][\w-]+)/(?P<name>[A-Za-z][\w.-]+)|(?P<known>" + "|".join(OWNERS) + r"))"
    r"(?:(?:#| issue )(?P<issue>\d+)| commit (?P<commit>[0-9a-f]{7,40})| [\w/]+\.py)?(?=[:,; ]|$)"
)
Fates = dict[tuple[str, str], dict[str, str]]  # by mistake and framework, by claim


def of_mistakes(records: Iterable[Any]) -> list[Judged]:
    """The latest records of mistakes that are still planted."""
    known, found = mutants(), latest(records)
    kinds: tuple[type[Judged], ...] = (ClaimRecord, AgreementRecord, CallRecord)
    return [record for kind in kinds for record in of_kind(found, kind) if record.wrong in known]


def what_became(records: Iterable[Any]) -> Fates:
    """Find the fates of the mistakes that are still planted; judged once for all tables of the same records."""
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
            shown = [count(counts[what]) for what in (KILLED, CAUGHT, SURVIVED, NOT_MEASURED)]
            rest = ", ".join(idle(rows_of.values())) or NONE
            rows.append([mark(framework, own, code), count(len(possible)), *shown, rest])
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
            entries = {name: NONE if name in mutant.impossible else count_kills(own.get(name, {})) for name in columns}
            rows.append({"planted mistake": mutant.name} | entries | {"killed by": list_killers(own.values(), order)})
    return framed(rows, ["planted mistake", *columns, "killed by"])


def count_kills(row: Mapping[str, str]) -> Entry:
    """Claims that kill, of those measured; in words where none rejects."""
    what, killing = strongest(row), Counter(row.values())[KILLED]
    if what == NOT_MEASURED:
        return NOT_MEASURED
    return Entry(what.upper(), state=BAD) if what == SURVIVED else Entry(f"{killing}/{len(row)}", killing)


def list_killers(rows: Iterable[Mapping[str, str]], order: Sequence[str]) -> str:
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
            letters = {claim: write_letters(row.get(claim, "") for row in own) for claim in order}
            copies = Entry(mutant.copies, link=find_origin(mutant.copies))
            rows.append({"family": mutant.family, "planted mistake": mutant.name, "copies": copies} | letters)
    return framed(rows, ["family", "planted mistake", "copies", *order])


def find_origin(copies: str) -> str:
    """The page of the code that a mistake was found in, where its description begins with a repository's name."""
    found = ORIGIN.match(copies)
    if not found:
        return ""
    repository = f"{found['owner']}/{found['name']}" if found["owner"] else f"{OWNERS[found['known']]}/{found['known']}"
    issue, commit = found["issue"], found["commit"]
    place = f"/issues/{issue}" if issue else f"/commit/{commit}" if commit else ""
    return f"https://github.com/{repository}{place}"


def write_letters(found: Iterable[str]) -> str:
    """A letter a framework, or nothing where none measured it."""
    letters = "".join(LETTERS.get(what, NONE) for what in found)
    return letters if letters.strip(NONE) else ""
