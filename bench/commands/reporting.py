"""Commands about records that are there: put together, shown, exported."""

from pathlib import Path
from typing import Annotated, cast

import typer

from bench.commands import arguments
from bench.commands.measuring import console, writing
from bench.commands.options import RESULTS, Out, folder_named
from bench.records import merge as merging

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
            arguments.with_results(folder, "merge")
        said = say_damage(merging.problems([*folders, out]))
        if said and not skip_damaged:
            raise arguments.refuse("merge: nothing was merged. --skip-damaged merges the rest of damaged files")
        for machine, count in merging.merge(folders, out).items():
            console.print(f"{out / machine}: {count} records")


def compact_command(out: Out = RESULTS, skip_damaged: SkipDamaged = False) -> None:
    """Leave out of a folder's files what later records replaced, and damaged lines. Exit status 2 while it has some."""
    arguments.with_results(out)
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
    problems = page.write(arguments.writable(arguments.with_results(out), arguments.OUT))
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
    arguments.writable(folder / export.DICTIONARY, "export")
    try:
        counts = export.export(arguments.readable(out), folder, cast(export.Format, form))
    except (ValueError, FileNotFoundError) as error:
        raise arguments.refuse(str(error)) from None
    for kind, count in counts.items():
        console.print(f"{folder / export.file_name(kind)}.{form}: {count} records")
    console.print(f"{folder / export.DICTIONARY}: what each column means")
