"""The command about a user's own model: what the methods do on it."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from bench.check import report as reporting
from bench.check.run import Report, Unusable, assembled, checked_path, chosen_framework, jobs
from bench.check.template import TEMPLATES
from bench.commands import arguments
from bench.commands.measuring import console, measured
from bench.commands.options import MemoryLimit
from bench.records import files
from bench.running.job import Outcome
from bench.running.session import Session


def check_command(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Python that defines `model`, `loss`, `batch`; a Hugging Face folder; a .keras or .pt2 file."
        ),
    ] = None,
    framework: Annotated[str, typer.Option(help="torch, jax or tensorflow, where its imports leave it open.")] = "",
    template: Annotated[str, typer.Option(help="Print a file to start from instead: torch, jax or keras.")] = "",
    thorough: Annotated[bool, typer.Option("--thorough", help="More directions, places, probes and modes.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write the report as one page.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write everything that was measured.")] = None,
    memory_limit: MemoryLimit = None,
) -> None:
    """What do these methods do on MY model? Derivatives, radius, curvature, places, cost, and the line to paste.

    Exit status 0 where all is right, 1 where a derivative or a method is wrong on this model, 2 for a file that cannot
    be used.
    """
    if template:
        [name] = arguments.known("template", [template], TEMPLATES)
        return print(TEMPLATES[name], end="")
    if file is None:
        raise arguments.refuse("check: got no file. `check --template torch` (jax, keras) prints one to start from")
    for option, path in (("--html", html), ("--json", json)):
        if path:
            arguments.writable(path, option)
    if html:
        with arguments.extra("report"):
            from bench.check import page
    with arguments.refused("check", Unusable):
        found = looked_at(file, framework, not thorough, memory_limit)
    reporting.show(console, found)
    if json:
        files.replace(json, found.told())
    if html:
        files.replace(html, page.render(found))
        console.print(f"page: {html}")
    raise typer.Exit(1 if found.bad else 0)


def looked_at(file: Path, framework: str, quick: bool, memory_limit: float | None) -> Report:
    """The report of a file."""
    path = checked_path(file)
    [name] = arguments.frameworks([chosen_framework(path, framework)], console)
    here = arguments.executor("local", "", arguments.for_others(memory_limit), 0.0, console)
    session = Session(None, here)
    outcomes: list[Outcome] = []
    before = spent()

    def keep(outcome: Outcome) -> list[Outcome]:
        outcomes.append(outcome)
        return []

    measured(session, jobs(path, name, quick), session.executor.slots(), keep)
    return assembled(file, name, outcomes, round(spent() - before, 1))


def spent() -> float:
    """Seconds of processor time of the processes that this one has waited for."""
    times = os.times()
    return times.children_user + times.children_system if hasattr(os, "times") else time.process_time()
