"""Inflict faults on the command line and count what survives: `python -m tests.faults`, or `tox -e faults`.

A table says of each kind how many were tried and survived, how many records were lost, and how many tracebacks a user
would have seen. Exit status 1 where one did not survive. `--kind NAME --only NUMBER` repeats one fault, with the seed
that the table names.
"""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from tests.faults.harness import Kind, Verdict
from tests.faults.kinds import KINDS, attempt

SHOWN = 20  # faults of a kind that are told in full
SILENCE = 20.0  # seconds after which a line says how far it is

Result = tuple[Kind, int, Verdict]


def main() -> None:
    given = arguments()
    console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 120)
    chosen = [KINDS[name] for name in given.kind or KINDS]
    # Those that wait, for a hang to be ended, run beside those that work.
    asked = sorted(((kind, number) for kind in chosen for number in numbers(kind, given)), key=part_of_its_kind)
    began, verdicts = time.monotonic(), {kind.name: {} for kind in chosen}
    interrupted = False
    try:
        for kind, number, verdict in with_progress(tried(asked, given.seed, given.jobs), len(asked), console):
            verdicts[kind.name][number] = verdict
            if not verdict.survived and told(verdicts[kind.name]) <= SHOWN:
                again = f"python -m tests.faults --kind '{kind.name}' --only {number} --seed {given.seed}"
                console.print(Text(f"{verdict.what}: {again}", style="red"))
                for complaint in verdict.complaints:
                    console.print(f"    {complaint}")
    except KeyboardInterrupt:
        interrupted = True
    show(console, verdicts)
    done = sum(map(len, verdicts.values()))
    rest = f", interrupted after {done} of {len(asked)}" if interrupted else ""
    console.print(f"{time.monotonic() - began:.0f} s, seed {given.seed}{rest}")
    failed = any(not each.survived for found in verdicts.values() for each in found.values())
    raise SystemExit(130 if interrupted else failed)


def with_progress(results: Iterator[Result], count: int, console: Console) -> Iterator[Result]:
    """Pass results on, and say how far they are: in a bar, or, where nobody looks, in a line now and then."""
    began = said = time.monotonic()
    with Progress(*Progress.get_default_columns(), console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("faults", total=count)
        for done, result in enumerate(results, 1):
            yield result
            progress.update(task, advance=1, description=result[0].name)
            if not console.is_terminal and time.monotonic() - said > SILENCE:
                said = time.monotonic()
                console.print(f"{done} of {count} faults, {said - began:.0f} s, last {result[0].name}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kind", action="append", choices=KINDS, help="one kind of faults; repeatable")
    parser.add_argument("--only", action="append", type=int, help="a fault's number; repeatable")
    parser.add_argument("--every", type=int, default=1, help="take one of so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=3, help="so many at a time")
    return parser.parse_args()


def numbers(kind: Kind, given: argparse.Namespace) -> list[int]:
    return given.only or list(range(0, kind.count, given.every))


def tried(asked: list[tuple[Kind, int]], seed: int, jobs: int) -> Iterator[Result]:
    """Yield what became of each fault, as it is known. A process that a fault ends is a fault that did not survive."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context)
    try:
        running: dict[Future[Verdict], tuple[Kind, int]] = {
            pool.submit(attempt, kind.name, number, seed): (kind, number) for kind, number in asked
        }
        for done in as_completed(running):
            kind, number = running[done]
            try:
                yield kind, number, done.result()
            except Exception as error:
                yield kind, number, Verdict("the fault itself", [f"{type(error).__name__}: {error}"])
    finally:
        pool.shutdown(cancel_futures=True)


def part_of_its_kind(asked: tuple[Kind, int]) -> float:
    kind, number = asked
    return number % kind.count / kind.count


def told(found: dict[int, Verdict]) -> int:
    return sum(not each.survived for each in found.values())


def show(console: Console, verdicts: dict[str, dict[int, Verdict]]) -> None:
    table = Table(box=box.SIMPLE)
    for name in ("kind", "faults tried", "survived", "data lost", "tracebacks", "seconds", ""):
        table.add_column(name)
    for name, found in verdicts.items():
        tries = [each for each in found.values() if not each.skipped]
        notes = ", ".join(sorted({each.skipped for each in found.values()} - {""}))
        good = sum(each.survived for each in tries)
        lost, raised = sum(each.lost for each in tries), sum(each.tracebacks for each in tries)
        colour = "" if good == len(tries) else "red"
        seconds = f"{sum(each.seconds for each in tries):.0f}"
        table.add_row(*map(str, (name, len(tries), good, lost, raised, seconds, notes)), style=colour)
    console.print(table)


if __name__ == "__main__":
    main()
