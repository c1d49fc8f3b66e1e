"""Commands about records that are there: put together, shown, exported, compared."""

import tempfile
from pathlib import Path
from typing import Annotated, cast

import typer

from bench.commands import arguments
from bench.commands.costing import timed_cells
from bench.commands.measuring import console, prepared, writing
from bench.commands.options import RESULTS, Out, folder_named
from bench.costs import cells, timing
from bench.records import files
from bench.records import merge as merging
from bench.records.machine import describe
from bench.records.staleness import Codes, stale
from bench.records.store import FILES
from bench.report import compare, terminal

SkipDamaged = Annotated[bool, typer.Option("--skip-damaged", help="Leave damaged lines out.")]


def merge_command(
    folders: Annotated[list[Path], typer.Argument(help="Folders of results: of shards, of machines.")],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder that they are merged into, with what it holds already.", parser=folder_named, metavar="FOLDER"
        ),
    ],
    skip_damaged: SkipDamaged = False,
) -> None:
    """Merge the records of several folders: the newest of each on each machine. Exit status 2 if one is no good."""
    with writing(out):
        for folder in folders:
            if not list(arguments.readable(folder).glob(FILES)):
                raise arguments.refuse(
                    f"merge: {folder}: expected a folder of results, with MACHINE/records.jsonl in it"
                )
        said = say_damage(merging.problems([*folders, out]))
        if said and not skip_damaged:
            raise arguments.refuse("merge: nothing was merged. --skip-damaged merges the rest of damaged files")
        for machine, count in merging.merge(folders, out).items():
            console.print(f"{out / machine}: {count} records")


def compact_command(out: Out = RESULTS, skip_damaged: SkipDamaged = False) -> None:
    """Leave out of a folder's files what later records replaced, and damaged lines. Exit status 2 while it has some."""
    if not arguments.readable(out).is_dir() or not list(out.glob(FILES)):
        raise arguments.refuse(f"--out: {out}: expected a folder of results, with MACHINE/records.jsonl in it")
    histories = []
    if any(out.glob(f"*/{merging.HISTORY}")):
        with arguments.extra("report"):
            from bench.report import history
        histories = sorted(path.parent for path in out.glob(f"*/{merging.HISTORY}"))
    with writing(out):
        damage = merging.problems([out]) + [
            f"{folder / place}: no whole line" for folder in histories for place in history.problems(folder)
        ]
        said = say_damage(damage)
        if said and not skip_damaged:
            raise arguments.refuse("compact: nothing was changed. --skip-damaged takes the damaged lines out")
        for machine, count in merging.merge([out], out).items():
            console.print(f"{out / machine}: {count} records")
        for folder in histories:
            history.mend(folder)


def say_damage(problems: list[str]) -> bool:
    """Say what is wrong with files, by line; whether anything is."""
    for problem in problems:
        console.print(problem, style="yellow")
    return bool(problems)


def report_command(out: Out = RESULTS) -> None:
    """Write tables and figures from the records alone."""
    with arguments.extra("report"):
        from bench.report import page
    problems = page.write(arguments.writable(arguments.readable(out), folder=True))
    say_damage(problems)
    console.print(f"report: {out / 'README.md'}, {out / 'index.html'}")
    raise typer.Exit(1 if problems else 0)


def export_command(
    folder: Annotated[Path, typer.Argument(help="Where the files go.")],
    form: Annotated[str, typer.Option("--format", help="parquet or csv.")] = "parquet",
    out: Out = RESULTS,
) -> None:
    """Write the records as tables for analysis, a file a kind, and what each column means."""
    with arguments.extra("report"):
        from bench.report import export
    [form] = arguments.known("format", [form], export.WRITERS)
    arguments.writable(folder, folder=True)
    try:
        counts = export.export(arguments.readable(out), folder, cast(export.Format, form))
    except (ValueError, FileNotFoundError) as error:
        raise arguments.refuse(str(error)) from None
    for kind, count in counts.items():
        console.print(f"{folder / export.file_name(kind)}.{form}: {count} records")
    console.print(f"{folder / export.DICTIONARY}: what each column means")


def compare_command(
    base: Annotated[str, typer.Argument(help="A folder of results, a commit, or JSON of pytest-benchmark.")],
    new: Annotated[str, typer.Argument(help="Likewise, what came after it.")],
    fresh: Annotated[list[str] | None, typer.Argument(help="Further runs of the new code, measured afresh.")] = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="Measure afresh, twice, what seems slower.")] = False,
    markdown: Annotated[Path | None, typer.Option(help="Write the changes as Markdown.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write the changes as JSON.")] = None,
) -> None:
    """What started to fail, what got slower. Exit status 1 on a regression: slower is one when found twice more."""
    for path in (markdown, json):
        if path:
            arguments.writable(path, folder=False)
    try:
        sides = [compare.results(source) for source in (base, new, *(fresh or []))]
    except compare.Unreadable as error:
        raise arguments.refuse(str(error)) from None
    old, now, *again = sides
    again += afresh(old, now) if confirm else []
    found = compare.compare(old, now, again)
    for side in (old, now, *again):
        for problem in side.problems:
            console.print(f"{side.name}: {problem}", style="yellow")
    terminal.show(console, compare.table(found))
    for reason in compare.other_machines(old, now).values():
        console.print(reason, style="yellow")
    for path, write in ((markdown, compare.markdown_text), (json, compare.json_text)):
        if path:
            files.replace(path, write(old, now, found))
    regressions = sum(change.regression for change in found)
    console.print(f"{regressions} regressions, {len(found)} changes")
    raise typer.Exit(1 if regressions else 0)


def afresh(base: compare.Results, new: compare.Results) -> list[compare.Results]:
    """Further runs of what seems slower, and of the plain steps beside it, here and with this code."""
    here = describe()
    suspects = [change.what for change in compare.slowed(base, new, ()) if change.change.startswith("slower")]
    times = new.times.get(here.machine, {})
    if not (chosen := [times[name] for name in suspects if name in times and times[name].cell]):
        return []
    codes = Codes()
    if any(stale(timed.block, codes) for timed in chosen):
        raise arguments.refuse(f"--confirm: {new.name} was measured with other code than this: check that out first")
    device = chosen[0].cell[-1]
    steps = [step for timed in chosen for step in (("plain", *timed.cell[1:]), timed.cell) if step[-1] == device]
    planned = [cells.Cell(*step) for step in dict.fromkeys(steps)]
    found = []
    for number in range(1, compare.FRESH + 1):
        console.print(f"afresh, {number} of {compare.FRESH}: {len(planned)} steps")
        with tempfile.TemporaryDirectory() as folder:
            with prepared(None, Path(folder)) as session:
                timed_cells(session, planned, device, timing.How(cold=False))
            found.append(compare.of_folder(Path(folder), f"afresh {number}"))
    return found
