"""What commands that measure have in common: what they refuse first, a progress bar, records stored as they come."""

import contextlib
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.commands import arguments
from bench.commands.ending import INTERRUPTED
from bench.commands.options import HOUR
from bench.commands.screen import Screen
from bench.records import files
from bench.records.store import Store
from bench.report import terminal
from bench.running import locks
from bench.running.job import Job, Outcome, Unusable
from bench.running.session import Session

UNDECIDED = ("skipped", "interrupted", "unsupported")  # statuses of what was not measured, for no fault of its own


QUIET = 30.0  # seconds between two lines about progress, where the output is no terminal
console = Screen(width=None if os.isatty(1) else 100)


def ignore(outcome: Outcome) -> None:
    """Nothing is to be done."""


@contextlib.contextmanager
def prepared(
    json: Path | None,
    out: Path,
    shard: str = "1/1",
    resume: bool = False,
    executor: str = "local",
    address: str = "auto",
    memory_limit: float | None = None,
    wait: float = HOUR,
) -> Iterator[Session]:
    """Everything that can be refused before any work, then the session; its records are put in order at the end."""
    arguments.data()
    part = arguments.shard(shard)
    if json:
        arguments.writable(json, "--json")
    with writing(out):
        measuring = arguments.executor(executor, address, memory_limit, wait, console)
        store = Store(out)
        arguments.writable(store.path.parent, arguments.OUT)
        yield Session(store, measuring, part, resume)
        store.compact()


@contextlib.contextmanager
def writing(out: Path) -> Iterator[None]:
    """No other run writes to the folder meanwhile; refused where one does."""
    arguments.writable(arguments.readable(out), arguments.OUT)
    with contextlib.ExitStack() as stack:
        with arguments.refused(arguments.OUT, locks.Held):
            stack.enter_context(locks.folder(out))
        yield


def located(session: Session, device: str, chosen: list[str]) -> str:
    """The device, if every framework finds it here, where it is here that is measured."""
    return arguments.device(device, chosen if session.here else [])


def measured(
    session: Session,
    jobs: list[Job],
    slots: list[list[int]],
    records_of: Callable[[Outcome], list[Any]],
    device: str = "",
    *,
    kept: Callable[[], list[str]] = list,
    stored: Callable[[Outcome], None] = ignore,
) -> list[Any]:
    """Run what is left of the jobs with a progress bar; every record is stored as it comes, where there is a store.

    With a device, nothing else is timed on it meanwhile. Ctrl-C ends with exit status 130, everything stored. `kept`
    names what an interrupted task has kept, `stored` hears of a task whose records are stored.
    """
    jobs, records = session.left(jobs, records_of)
    reused = bool(records)
    if reused:
        console.print(f"{len(records)} records are there already", highlight=False)
    if session.store:
        session.store.codes.prepare()
    outcomes: list[Outcome] = []
    what = TextColumn("{task.description:42.42}", markup=False)
    inside = TextColumn("{task.fields[inside]}", markup=False)
    columns = (what, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), inside)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=sum(len(job.tasks) for job in jobs), inside="")
        lines = Lines(console)

        def say(event: Any) -> None:
            if not isinstance(event, Outcome):
                name, text = f"{event.job.framework} {described(event.task)}", getattr(event, "text", "")
                lasting = getattr(event, "lasting", False)
                progress.update(task, description=name, inside="" if lasting else text)
                lines.hear(text if lasting else f"{name}: {text}" if text else "", lasting)
                return
            progress.advance(task)
            outcomes.append(event)
            for record in records_of(event):
                records.append(record)
                try:
                    if session.store:
                        session.store.append(record, event.environment)
                except OSError as error:  # the disk is full, say
                    raise arguments.refuse(
                        f"--out: {error}. What was written stays; --resume goes on from there"
                    ) from None
            stored(event)

        began = time.monotonic()
        try:
            session.executor.run(jobs, slots, say, device)
        except (locks.Held, Unusable) as error:
            raise arguments.refuse(str(error)) from None
        except KeyboardInterrupt:
            done = sum(outcome.status != "interrupted" for outcome in outcomes)
            console.print(f"interrupted after {done} of {progress.tasks[task].total:.0f}", style="red")
            for each in (unfinished := kept()):
                console.print(f"kept: {each}")
            if session.store and (done or reused or unfinished):
                console.print(f"goes on with: {again(sys.argv[1:])}", soft_wrap=True)
            raise typer.Exit(INTERRUPTED) from None
    terminal.print_spent(console, outcomes, time.monotonic() - began)
    return records


class Lines:
    """What tasks say of themselves, a line each: what lasts, and where no bar is seen, at times how far they are."""

    def __init__(self, console: Console):
        self.console, self.told = console, time.monotonic()

    def hear(self, text: str, lasting: bool) -> None:
        if text and (lasting or (not self.console.is_terminal and time.monotonic() - self.told > QUIET)):
            self.console.print(text, soft_wrap=True)
            self.told = time.monotonic()


def again(words: list[str]) -> str:
    """The command that goes on where this one was interrupted."""
    return shlex.join(["python", "-m", "bench", *words, *(["--resume"] if "--resume" not in words else [])])


def described(task: Any) -> str:
    return task if isinstance(task, str) else " ".join(str(part) for part in task[1:] if isinstance(part, str))


def finish(records: list[Any], path: Path | None, good: bool | None = None) -> None:
    """Write the records where asked; exit status 1 unless it is good: by default, where every record is."""
    if path:
        files.replace(path, json.dumps(list(map(told, records)), indent=1) + "\n")
    if good is None:
        good = bool(records) and all(map(passes, records))
    raise typer.Exit(0 if good else 1)


def told(record: Any) -> dict[str, Any]:
    """A record as `--json` writes it: with its verdict, which who reads it need not compute.

    `holds` is true or false, or null where nothing was decided; `reason` says why in words, `numbers` what it rests on.
    """
    verdict = getattr(record, "verdict", None)
    holds = None if record.status in UNDECIDED else passes(record)
    reason = record.reason or (verdict.reason if verdict else "")
    return record.model_dump() | {"holds": holds, "reason": reason, "numbers": verdict.numbers if verdict else {}}


def passes(record: Any) -> bool:
    """Measured and right, or there is nothing to be measured: a method that does not apply to a workload."""
    if record.kind in ("cost", "cold", "implementation", "peer", "self-check", "atlas"):
        return record.status in ("ok", "unsupported")
    if record.kind == "training":
        return record.status in ("ok", "diverged")
    if record.kind == "variations":
        return record.status == "ok" and record.count > 0 and not record.failures
    return record.verdict.holds
