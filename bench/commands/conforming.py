"""The command about published packages: do they do what they say?"""

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from bench.commands import arguments
from bench.commands.measuring import console, finish, measured, prepared
from bench.commands.options import HOUR, RESULTS, Frameworks, Json, MemoryLimit, Out, Resume, Wait
from bench.proofs import published
from bench.records.schema import ConformanceRecord
from bench.records.staleness import stale
from bench.records.store import latest
from bench.report import terminal
from bench.running.job import Job, Outcome
from bench.running.session import Session
from equivalence.published import adapters, packages

Packages = Annotated[
    list[str] | None, typer.Option("--package", help="A package, or one of its functions as `package function`.")
]


def published_command(
    framework: Frameworks = None,
    package: Packages = None,
    quick: Annotated[bool, typer.Option("--quick", help="Each claim on one case. Nothing is stored.")] = False,
    report: Annotated[
        str | None, typer.Option("--report", metavar="NAME", help="Print a report to the authors of what is wrong.")
    ] = None,
    resume: Resume = False,
    memory_limit: MemoryLimit = None,
    wait: Wait = HOUR,
    json: Json = None,
    out: Out = RESULTS,
) -> None:
    """Hold other packages' functions to the claims. Exit status 1 where a word beside one is contradicted."""
    chosen = [each for each in arguments.frameworks(framework, console) if packages(each)]
    known = [name for each in chosen for name in (*packages(each), *adapters(each))]
    wanted = arguments.known("package", package, list(dict.fromkeys(known)))
    if report:
        [name] = arguments.known("report", [report], [name for each in chosen for name in adapters(each)])
        print(published.draft(arguments.only("--report", framework), name), end="")
        return
    with prepared(json, out, resume=resume, memory_limit=memory_limit, wait=wait) as session:
        records = []
        for name in chosen:
            for record in conformance(session, name, wanted, quick):
                records.append(record)
                terminal.print_conformance(console, [record])
    terminal.print_conformance(console, records, summary=True)
    finish(records, json)


def conformance(session: Session, framework: str, wanted: list[str], quick: bool) -> Iterator[ConformanceRecord]:
    """Each function's record, stored as it comes; what is resumed is not measured again."""
    slots = session.executor.slots()
    alone = Session(None, session.executor)  # what one adapter's jobs measure is no record of the reference's
    known = fresh(session) if session.resume and not quick else {}

    def ask(jobs: list[Job], records_of: Callable[[Outcome], list[Any]]) -> list[Any]:
        return measured(alone, jobs, slots, records_of)

    adapted, refused = published.chosen(framework, wanted)
    for adapter in adapted:
        found = known.get(published.key(framework, adapter))
        if found is None:
            found = published.measure(framework, adapter, len(slots), quick, ask)
            keep(session, found, quick)
        yield found
    for package in refused:
        keep(session, found := published.refused(framework, package), quick)
        yield found


def fresh(session: Session) -> dict[tuple[str, ...], ConformanceRecord]:
    """What this code has measured already, in the versions that are installed."""
    if not session.store:
        return {}
    found = [each for each in latest(session.store.everything()) if each.kind == "conformance" and each.status == "ok"]
    return {record.key(): record for record in found if not stale(record, session.store.codes)}


def keep(session: Session, record: ConformanceRecord, quick: bool) -> None:
    """Store what was measured: not a quick look, nor that a package is not installed."""
    if session.store and not quick and record.status != "skipped":
        session.store.append(record)
