"""Commands that hold one state of the project against another, and can fail."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bench.commands import arguments
from bench.commands.costing import timed_cells
from bench.commands.measuring import console, prepared
from bench.commands.options import Frameworks, Methods, Modes, Workloads
from bench.costs import cells, timing
from bench.places import ROOT, unpack
from bench.records import files
from bench.records.machine import describe
from bench.records.staleness import Codes, stale
from bench.records.store import FILES, latest, read
from bench.report import compare, terminal
from bench.running import caches

Markdown = Annotated[Path | None, typer.Option(help="Write the changes as Markdown.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the changes as JSON.")]
Allowed = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-missing", metavar="PATTERN", help="What may be missing, as in a shell: 'peer *'; repeatable."
    ),
]


def compare_command(
    base: Annotated[str, typer.Argument(help="A folder of results, a commit, or JSON of pytest-benchmark.")],
    new: Annotated[str, typer.Argument(help="Likewise, what came after it.")],
    fresh: Annotated[list[str] | None, typer.Argument(help="Further runs of the new code, measured afresh.")] = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="Measure afresh, twice, what seems slower.")] = False,
    allow_missing: Allowed = None,
    times: Annotated[
        bool, typer.Option("--times/--no-times", help="Whether to compare what depends on the machine.")
    ] = True,
    markdown: Markdown = None,
    json: Json = None,
) -> None:
    """What started to fail, got worse, vanished, or could not be compared: then the exit status is 1.

    Slower is a regression when two more runs find it too. Times are compared on one machine only: --no-times compares
    the rest where there are two. What was taken out on purpose is named by --allow-missing.
    """
    refuse_unwritable(markdown, json)
    try:
        sides = [compare.results(source) for source in (base, new, *(fresh or []))]
    except compare.Unreadable as error:
        raise arguments.refuse(str(error)) from None
    old, now, *again = sides
    held = partial(compare.compare, old, now, allowed=allow_missing or [], times=times)
    found = held([(old, each) for each in again])
    if confirm and (more := afresh(old, now, compare.suspects(found))):
        found = held([(old, each) for each in (*again, *more)])
    tell(old, now, found, markdown, json)


def gate_command(
    base: Annotated[str, typer.Argument(help="The commit that the code here is held against.")],
    framework: Frameworks = None,
    method: Methods = None,
    workload: Workloads = None,
    mode: Modes = None,
    rounds: Annotated[int, typer.Option(min=2, help="How often each side is timed, in turns with the other.")] = 6,
    claims: Annotated[bool, typer.Option("--claims/--no-claims", help="Whether both sides are verified, too.")] = True,
    allow_missing: Allowed = None,
    markdown: Markdown = None,
    json: Json = None,
) -> None:
    """Measure a commit and the code here in turns on this machine, and compare: exit status 1 on a regression.

    Both sides are verified quickly once. Then a process of the one times its steps, a process of the other, and so on:
    what the machine does meanwhile happens to both. What seems slower, and that alone, is timed so twice more.
    Frameworks are those that each side knows, so that one which the code here has lost is missed.
    """
    refuse_unwritable(markdown, json)
    options = [word for name in framework or [] for word in ("--framework", name)]
    chosen = {"--method": method, "--workload": workload, "--mode": mode}
    steps = [word for option, names in chosen.items() for name in names or [] for word in (option, name)]
    with tempfile.TemporaryDirectory() as place:
        trees = {base: Path(place) / "base", "the code here": ROOT}
        if complaint := unpack(base, trees[base]):
            raise arguments.refuse(f"gate: {base}: no commit of this project: {complaint}")
        folders: dict[str, list[Path]] = {name: [] for name in trees}
        if claims:
            for number, (name, tree) in enumerate(trees.items()):
                folders[name].append(Path(place) / f"verified {number}")
                measure(tree, ["verify", "--quick", *options], folders[name][-1], f"verify {name}")
        once = [*options, *steps]
        timed = [in_turns(trees, once, Path(place) / "timed", rounds)]
        found = compare_rounds(folders, timed, allow_missing or [])
        while (names := compare.suspects(found)) and len(timed) <= compare.FRESH:
            console.print(f"timed again, {len(timed)} of {compare.FRESH}: {len(names)} steps seem slower")
            old, new = sides(folders, timed[0])
            timed.append(in_turns(trees, suspected(new, names), Path(place) / f"again {len(timed)}", rounds))
            found = compare_rounds(folders, timed, allow_missing or [])
        old, new = sides(folders, timed[0])
    tell(old, new, found, markdown, json)


def suspected(new: compare.Results, names: Sequence[str]) -> list[str]:
    """Options of `time` that choose these steps; the plain ones beside them are always timed."""
    steps = [each.cell for times in new.quantities.values() for name, each in times.items() if name in names]
    options = ("--method", "--framework", "--mode", "--workload")
    found = dict.fromkeys((option, word) for step in steps for option, word in zip(options, step, strict=False))
    return [word for pair in found for word in pair]


def measure(tree: Path, words: Sequence[str], out: Path, title: str) -> None:
    """Run a command of the project as it is in a folder. What it says is shown only if nothing was recorded.

    Without a record of the base there is nothing to hold against; without one of the code here, all of it vanished.
    What compilers keep lies beside `out`'s folder, by tree: no round compiles what another one has compiled.
    """
    kept = out.parent.parent / f"compiled {'here' if tree == ROOT else 'base'}"
    with console.status(title):
        ran = subprocess.run(
            [sys.executable, "-m", "bench", *words, "--out", str(out)],
            cwd=tree,
            env=os.environ | {caches.KEPT_IN: str(kept)},
            capture_output=True,
            text=True,
        )
    if not has_records(out):
        complaint = f"gate: {title}: nothing was measured:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}"
        if tree != ROOT:
            raise arguments.refuse(complaint)
        console.print(Text(complaint, style="red"))


def has_records(folder: Path) -> bool:
    """Whether anything was measured there, be it what the code here cannot read: the place is noted before it is."""
    found = [read(path) for path in folder.glob(FILES)]
    return any(latest(records) or problems for records, problems in found)


def in_turns(trees: dict[str, Path], words: Sequence[str], place: Path, rounds: int) -> dict[str, list[Path]]:
    """Time each side once a round, the other first every second time; the folders of each side."""
    folders: dict[str, list[Path]] = {name: [] for name in trees}
    for number in range(rounds):
        for name in list(trees)[:: -1 if number % 2 else 1]:
            folders[name].append(place / f"{number} {list(trees).index(name)}")
            command = ["time", "--quick", *words]
            measure(trees[name], command, folders[name][-1], f"round {number + 1} of {rounds}: time {name}")
    return folders


def sides(verified: dict[str, list[Path]], timed: dict[str, list[Path]]) -> tuple[compare.Results, compare.Results]:
    """Both sides with what was verified of them, and the rounds that were timed."""
    old, new = (side([*timed[name], *verified[name]], name) for name in timed)
    return old, new


def side(folders: Sequence[Path], name: str) -> compare.Results:
    """What the rounds of one side measured, which may be nothing."""
    return compare.of_rounds(folders, name) if any(map(has_records, folders)) else compare.Results(name)


def compare_rounds(
    verified: dict[str, list[Path]], timed: Sequence[dict[str, list[Path]]], allowed: Sequence[str]
) -> compare.Comparison:
    first, *fresh = [sides(verified, rounds) for rounds in timed]
    return compare.compare(*first, fresh, in_turns=True, allowed=allowed)


def refuse_unwritable(markdown: Path | None, json: Path | None) -> None:
    for option, path in (("--markdown", markdown), ("--json", json)):
        if path:
            arguments.writable(path, option)


def tell(
    old: compare.Results, new: compare.Results, found: compare.Comparison, markdown: Path | None, json: Path | None
) -> None:
    """Print and write a comparison, and end with its exit status."""
    terminal.show(console, compare.table(found.changes))
    for path, write in ((markdown, compare.markdown_text), (json, compare.json_text)):
        if path:
            files.replace(path, write(old, new, found))
    console.print(found.describe(), style=None if found.passes else "red")
    raise typer.Exit(0 if found.passes else 1)


def afresh(base: compare.Results, new: compare.Results, names: Sequence[str]) -> list[compare.Results]:
    """Further runs of what seems slower, and of the plain steps beside it, here and with this code."""
    here = describe()
    times = new.quantities.get(here.machine, {})
    if not (chosen := [times[name] for name in names if name in times and times[name].cell]):
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
