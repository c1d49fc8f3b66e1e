"""Published packages held to the claims: each adapter goes in by the front door of `verify --impl`, alone.

A word stands beside each adapter, given by a person. A record says what was measured, and whether the word may stand.
"""

import os
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from bench.places import PYTHON
from bench.proofs import advice, verify
from bench.proofs.implementation import BadImplementation, ImplementationRecord, NotAsDeclared, Trial
from bench.records.schema import AgreementRecord, CallRecord, ConformanceRecord
from bench.records.versions import installed, versions_on
from equivalence.claim import claims
from equivalence.foreign.journal import printed
from equivalence.published import adapters, packages, witness
from equivalence.published.package import Adapter, Package, contradiction, lines
from impls.frameworks import DESCRIBED

WITNESS = 120.0  # seconds
LONGEST = 300  # characters of a reason that are kept
Ask = Callable[[list[Any], Callable[[Any], list[Any]]], list[Any]]


def version_of(framework: str, package: Package) -> str:
    """The package and the framework as they are installed."""
    return versions_on(package.name, DESCRIBED[framework].packages)


def key(framework: str, adapter: Adapter) -> tuple[str, ...]:
    """The key of an adapter's record, as long as its package has the version that is installed."""
    return ConformanceRecord(**facts(framework, adapter), status="ok").key()


def selection(adapter: Adapter, quick: bool) -> verify.Chosen:
    """Every claim about the method, and agreement with the oracle."""
    ids = frozenset([*claims(), verify.AGREEMENT])
    return verify.Chosen(ids, methods=frozenset([adapter.method]), dtypes=adapter.dtypes, quick=quick)


class Entry(Trial):
    """The trial of one adapter. A package that cannot be imported fails its own tasks, and is looked at no further."""

    def compare(self, outcome: Any) -> None:
        try:
            super().compare(outcome)
        except NotAsDeclared:
            why = outcome.reason or f"its file has {outcome.result}, expected {', '.join(self.own.functions)}"
            raise BadImplementation(why) from None


def measure(framework: str, adapter: Adapter, slots: int, quick: bool, ask: Ask) -> ConformanceRecord:
    """Measure one adapter; `ask` has the jobs done, and turns their outcomes into records."""
    if not installed(adapter.package.name):
        return unusable(framework, adapter, "skipped", f"{adapter.package.name} is not installed")
    with tempfile.TemporaryDirectory() as folder:
        path, journal = Path(folder, "own.py"), Path(folder, "journal")
        path.write_text(adapter.text(), encoding="utf-8")
        journal.mkdir()
        own = ImplementationRecord(
            framework=framework,
            status="ok",
            path=str(path),
            functions=[adapter.method],
            dtypes=adapter.dtypes,
            gradients=adapter.gradients,
            traced=adapter.traced,
        )
        trial = Entry(own, str(journal), lambda: None)
        try:
            records = ask(trial.jobs(selection(adapter, quick), slots), trial.records)
        except BadImplementation as error:
            return unusable(framework, adapter, "failed", str(error))
        trial.about_gradients(records)
        return judged(framework, adapter, records, own.changes, printed(str(journal)))


def unusable(framework: str, adapter: Adapter, status: Any, reason: str) -> ConformanceRecord:
    return ConformanceRecord(**facts(framework, adapter), status=status, reason=reason[:LONGEST])


def facts(framework: str, adapter: Adapter) -> dict[str, Any]:
    """What is said of an adapter before anything is measured."""
    names = ("function", "method", "word", "compared", "dtypes", "gradients", "traced", "since")
    said = {name: getattr(adapter, name) for name in names} | {"said": adapter.reason}
    package = adapter.package
    return said | {
        "framework": framework,
        "package": package.name,
        "version": version_of(framework, package),
        "judged_version": package.version,
    }


def judged(
    framework: str, adapter: Adapter, records: Collection[Any], changes: str, text: dict[str, str]
) -> ConformanceRecord:
    """The record: outcomes by claim, what fails, the largest error, what the witness prints."""
    failing = dict(places(records))
    outcomes = by_claim(records)
    held = sum(outcome["holds"] for outcome in outcomes.values())
    record = ConformanceRecord(
        **facts(framework, adapter),
        status="ok",
        claims=outcomes,
        failing=failing,
        worst=largest(records),
        changes=changes,
        printed="; ".join(text.values())[:LONGEST],
        witness=list(lines(run_witness(adapter.witness))) if adapter.witness else [],
    )
    record.contradiction = contradiction(adapter, held, failing)
    return record


def places(records: Collection[Any]) -> Iterator[tuple[str, str]]:
    """What fails, by claim and place, with the reason."""
    for record in records:
        if not record.verdict.holds:
            claim = advice.stated(record)[0]
            yield from ((f"{claim} {where}", said[:LONGEST]) for said, where in advice.places(record))


def by_claim(records: Collection[Any]) -> dict[str, dict[str, int]]:
    """How many records of each claim hold, fail, or are not covered."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: {"holds": 0, "fails": 0, "not covered": 0})
    for record in records:
        uncovered = record.status == "unsupported"
        word = "not covered" if uncovered else "holds" if record.verdict.holds else "fails"
        found[advice.stated(record)[0]][word] += 1
    return dict(found)


def largest(records: Collection[Any]) -> float:
    """The largest error of agreement, in rounding units × condition; NaN where none was measured."""
    units = [
        number
        for record in records
        if isinstance(record, AgreementRecord | CallRecord)
        for name, number in record.verdict.numbers.items()
        if name.endswith("units")
    ]
    return max(units, default=float("nan"))


def run_witness(name: str) -> str:
    """What a witness prints, in a process of its own."""
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [*PYTHON, str(witness(name))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITNESS, env=quiet, check=False)
    if done.returncode:
        return f"the witness failed: {done.stderr.strip().splitlines()[-1][:LONGEST]}"
    return done.stdout


def refused(framework: str, package: Package) -> ConformanceRecord:
    """A package that cannot be used: imported in a process of its own, which must fail."""
    adapter = Adapter(package, "", "", ("", ""), "", package.refused, "")
    if not installed(package.name):
        return unusable(framework, adapter, "skipped", f"{package.name} is not installed")
    command = [*PYTHON, "-c", "\n".join([*package.before, *(f"import {name}" for name in package.imports)])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITNESS, check=False)
    if done.returncode:
        return unusable(framework, adapter, "unsupported", done.stderr.strip().splitlines()[-1])
    record = unusable(framework, adapter, "ok", "")
    record.contradiction = "called unusable, and can be imported"
    return record


def chosen(framework: str, wanted: Collection[str]) -> tuple[list[Adapter], list[Package]]:
    """The adapters and the refused packages that are asked for, by package or by name; without a wish, all."""
    taken = [
        each for each in adapters(framework).values() if not wanted or {each.name, each.package.name} & set(wanted)
    ]
    left = [each for each in packages(framework).values() if each.refused and (not wanted or each.name in wanted)]
    return taken, left


def draft(framework: str, name: str) -> str:
    """A report to a package's authors: what comes, what was expected, and a script that shows it."""
    adapter = adapters(framework)[name]
    if not adapter.witness:
        return f"{name} is called {adapter.word}: {adapter.reason}. There is nothing to report.\n"
    script = witness(adapter.witness).read_text(encoding="utf-8")
    output = run_witness(adapter.witness).strip()
    package = adapter.package
    return (
        f"# {package.name} {package.version}: {adapter.function}: {adapter.reason}\n\n"
        f"Seen with {version_of(framework, package)}.\n\n"
        f"This program\n\n```python\n{script}```\n\nprints\n\n```text\n{output}\n```\n"
    )
