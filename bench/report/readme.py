"""The summary in the project's own README.md, between two marks: the answers of every machine, and one picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.records import files
from bench.report import markdown
from bench.report.tables.entries import NOT_MEASURED

BEGIN, END = "<!-- results: written by `python -m bench report` -->", "<!-- /results -->"
PICTURE = "C2.svg"  # order, coefficient and rounding noise in one


def update(path: Path, folder: str, machines: Sequence[dict[str, Any]]) -> None:
    """Put the summary in its place; nothing else is touched, and a page without the marks is left alone."""
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        return
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    files.replace(path, f"{before}{BEGIN}\n\n{summary(folder, machines)}\n{END}{after}")


def summary(folder: str, machines: Sequence[dict[str, Any]]) -> str:
    parts = []
    for machine in machines:
        found = machine["findings"]
        known = found[found["answer"] != NOT_MEASURED] if len(machines) > 1 else found  # another machine's say it
        if len(known):
            parts.append(f"On [{machine['name']}]({folder}/README.md):\n\n{markdown.table(known)}")
    shown = next((machine for machine in machines if PICTURE in machine["figures"]), None)
    if shown:
        title = "FGM is a gradient penalty to first order: what is left over, against the radius"
        parts.insert(0, f"![{title}]({folder}/{markdown.path(shown, PICTURE)})\n")
    return "\n".join(parts)
