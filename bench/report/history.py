"""What each commit cost and how much of it held, a file a machine: `<out>/<machine>/history.csv`.

Records are of the last measurement; a line of history stays when another commit has been measured. All lines of a file
are of one machine, so they may be drawn beside each other.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bench.costs.cells import MODES
from bench.records import files
from bench.records.merge import HISTORY as FILE
from bench.records.schema import ClaimRecord, Environment
from bench.records.store import latest
from bench.report.answers import PRICED
from bench.report.figures import CASE_LOOKS, svg
from bench.report.tables import costs
from bench.report.tables.agreement import agreements
from bench.report.tables.entries import NONE, Entry, count, framed
from bench.report.tables.outcomes import HOLDS, SHOWS_NOTHING, Judged, of_kind, outcome

COLUMNS = ("time", "commit", "environment", "what", "name", "value", "low", "high", "unit")
NEEDED = ("time", "what", "name", "value", "unit")  # of every line
NUMBERS = ("value", "low", "high")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
HEAD = ",".join(COLUMNS)
ADVICE = "`python -m bench compact --skip-damaged` takes such lines out"
KEY = ["commit", "environment", "what", "name"]
COST, HOLDING = "cost", "holding"
TREND_COLUMNS = ("what", "name", "first", "last", "change", "commits")
SHOWN = "digits-mlp"  # the workload whose trend is drawn
FEWEST = 3  # commits that make a trend


class Damaged(Exception):
    """The file is no history: it is left as it is."""


def update(folder: Path, records: Iterable[Any]) -> pd.DataFrame:
    """Add what the records say to a machine's history, and write it; the same records change nothing.

    Raises:
        Damaged: there is a file with lines that cannot be read. Nothing is written.
    """
    found = pd.concat([known(folder), lines(records)]).drop_duplicates(KEY, keep="last").sort_values(["time", *KEY])
    found = found.astype(dict.fromkeys(NUMBERS, float))
    if len(found):
        files.replace(folder / FILE, found.to_csv(index=False, float_format="%.6g"))
    return found.reset_index(drop=True)


def known(folder: Path) -> pd.DataFrame:
    """What a machine's history holds so far; nothing where there is none."""
    if not (folder / FILE).exists():
        return pd.DataFrame(columns=COLUMNS)
    if torn := problems(folder):
        more = f" and {len(torn) - 1} more are" if len(torn) > 1 else " is"
        raise Damaged(f"{torn[0]}{more} no whole line, and the file was left alone. {ADVICE}")
    rows = [next(csv.reader([line])) for number, line, _ in told(folder) if number > 1]
    found = pd.DataFrame(rows, columns=COLUMNS)
    return found.replace(dict.fromkeys(NUMBERS, ""), np.nan)


def problems(folder: Path) -> list[str]:
    """Which lines of a machine's history were not written to their end, or are damaged otherwise."""
    return [f"{FILE}:{number}" for number, _, whole in told(folder) if not whole]


def mend(folder: Path) -> None:
    """Take the lines out of a machine's history that `problems` names; a file without any is left as it is."""
    if problems(folder):
        kept = [line for number, line, whole in told(folder) if whole and number > 1]
        files.replace(folder / FILE, "\n".join([HEAD, *kept]) + "\n")


def told(folder: Path) -> Iterator[tuple[int, str, bool]]:
    """The lines of a history: number, text, and whether it is the head or has what every line below it needs."""
    text = (folder / FILE).read_bytes().decode("utf-8", "replace")
    for number, line in enumerate(text.split("\n"), start=1):
        if line := line.removesuffix("\r"):  # another system's editor
            yield number, line, line == HEAD if number == 1 else is_whole(line)


def is_whole(line: str) -> bool:
    """Whether a line has every column, numbers where those are, and nothing that is no text."""
    try:
        found = next(csv.reader([line]))
    except csv.Error:  # a field of more than 128 KiB
        return False
    if len(found) != len(COLUMNS) or any(not character.isprintable() or character == "\ufffd" for character in line):
        return False
    row = dict(zip(COLUMNS, found, strict=True))
    return all(row[name] for name in NEEDED) and all(NUMBER.fullmatch(row[name] or "0") for name in NUMBERS)


def lines(records: Iterable[Any]) -> pd.DataFrame:
    """What holds and what a step costs, by commit and environment."""
    records = list(records)
    commits = {record.id: commit(record) for record in records if isinstance(record, Environment)}
    records = latest(records)
    rows = []
    for blocks in costs.group_blocks(records):
        found, last = costs.estimate_effect(blocks), max(blocks, key=lambda block: block.time)
        if "=" not in last.workload and last.environment in commits and np.isfinite(found.mean):
            name = cost_name(last.method, last.framework, last.mode, last.workload, last.dtype, last.device)
            place = last.time, commits[last.environment], last.environment
            if last.method == "plain":
                rows.append((*place, COST, name, costs.milliseconds(blocks), np.nan, np.nan, "ms"))
            else:
                rows.append((*place, COST, name, found.ratio, *found.interval, "plain steps"))
    checks: list[Judged] = [*of_kind(records, ClaimRecord), *agreements(records)]
    groups: dict[tuple[str, str], list[Judged]] = {}
    for record in checks:
        if not record.wrong and record.environment in commits:
            groups.setdefault((record.environment, f"{record.kind}, {record.framework}"), []).append(record)
    for (where, name), own in groups.items():
        told = [found for found in map(outcome, own) if found != SHOWS_NOTHING]
        held = told.count(HOLDS) / len(told) if told else np.nan
        time = max(record.time for record in own)
        rows.append((time, commits[where], where, HOLDING, name, held, np.nan, np.nan, "share"))
    return pd.DataFrame([[one_line(value) for value in row] for row in rows], columns=COLUMNS)


def one_line(value: Any) -> Any:
    """Text that fits into a line of the file: names come from records, and what others call a workload may hold any."""
    if not isinstance(value, str):
        return value
    return "".join(character if character.isprintable() else " " for character in value)


def cost_name(method: str, framework: str, mode: str, workload: str, dtype: str, device: str) -> str:
    """What history calls a cell."""
    return f"{method}, {framework} {mode}, {workload}, {dtype}, {device}"


def commit(environment: Environment) -> str:
    """Name a commit as history does: with a + where what measures had been changed since."""
    return (environment.commit or "unknown") + "+" * environment.dirty


def trend_table(history: pd.DataFrame) -> pd.DataFrame:
    """One row a thing that enough commits measured: first and last."""
    rows = []
    for (what, name), own in history.groupby(["what", "name"], sort=False):
        if own["commit"].nunique() >= FEWEST:
            first, last = own.iloc[0], own.iloc[-1]
            shown = [
                Entry(f"{each['value']:.3g} {each['unit']} ({each['commit']})", each["value"]) for each in (first, last)
            ]
            change = 100 * (last["value"] / first["value"] - 1) if first["value"] else np.nan
            moved = Entry(f"{change:+.1f} %", change) if first["value"] else NONE
            rows.append((what, name, *shown, moved, count(own["commit"].nunique())))
    return framed(rows, TREND_COLUMNS)


def trend_figures(history: pd.DataFrame) -> dict[str, str]:
    """SVG by file name: the usual methods' costs by commit, a panel a framework and mode; none of few commits."""
    names = {
        (framework, mode, method): cost_name(method, framework, mode, SHOWN, "float32", "cpu")
        for framework in MODES
        for mode in MODES[framework]
        for method in PRICED
    }
    found = history[(history["what"] == COST) & history["name"].isin(names.values())]
    order = list(dict.fromkeys(found["commit"]))
    panels: dict[str, dict[str, pd.DataFrame]] = {}
    for (framework, mode, method), name in names.items():
        own = found[found["name"] == name]
        if own["commit"].nunique() >= FEWEST:
            panels.setdefault(f"{framework} {mode}", {})[method] = own

    def draw(axes: Sequence[Axes]) -> None:
        looks = dict(zip(PRICED, CASE_LOOKS, strict=False))
        for ax, (mode, methods) in zip(axes, panels.items(), strict=True):
            for method, own in methods.items():
                color, marker = looks[method]
                at = [order.index(each) for each in own["commit"]]
                ax.plot(at, own["value"], color=color, marker=marker, label=PRICED[method])
                ax.fill_between(at, own["low"], own["high"], color=color, alpha=0.2, linewidth=0)
            ax.set_xticks(range(len(order)), order, rotation=60, fontsize=7)
            ax.set_title(mode, fontsize=11)
            ax.grid()
        axes[0].set_ylabel("cost, plain steps")
        axes[0].figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)

    drawn = svg(f"Cost by commit, {SHOWN}", len(panels), draw)
    return {"trend-cost.svg": drawn} if drawn else {}
