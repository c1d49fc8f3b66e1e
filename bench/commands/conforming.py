"""The command about published packages: do they do what they say?"""

from typing import Annotated

import typer

from bench.commands import arguments
from bench.commands.measuring import console, finish, measured, prepared
from bench.commands.options import HOUR, RESULTS, Frameworks, Json, MemoryLimit, Out, Resume, Wait
from bench.proofs import published
from bench.records.staleness import stale
from bench.records.store import latest
from bench.report import terminal
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
        slots = session.executor.slots()
        alone = Session(None, session.executor)  # what one adapter's jobs measure is no record of the reference's
        fresh = {
            record.key(): record
            for record in (latest(session.store.everything()) if resume and session.store else ())
            if record.kind == "conformance" and record.status == "ok" and not stale(record, session.store.codes)
        }
        records = []
        for name in chosen:
            taken, refused = published.chosen(name, wanted)
            for adapter in taken:
                record = fresh.get(published.key(name, adapter)) or published.measure(
                    name, adapter, len(slots), quick, lambda jobs, records_of: measured(alone, jobs, slots, records_of)
                )
                records.append(record)
                terminal.print_conformance(console, [record])
            records += [published.refused(name, each) for each in refused]
        if session.store and not quick:
            for record in records:
                if record.status != "skipped":
                    session.store.append(record)
    terminal.print_conformance(console, records, summary=True)
    finish(records, json)
