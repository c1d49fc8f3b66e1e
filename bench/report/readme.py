"""The summary in the project's own README.md, between two marks: the newest answers, and one picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.records import files
from bench.report import answers, markdown

BEGIN, END = "<!-- results: written by `python -m bench report` -->", "<!-- /results -->"
PICTURE = "C2.svg"  # order, coefficient and rounding noise in one


def update(path: Path, folder: str, machines: Sequence[dict[str, Any]], newest: Sequence[answers.Answer]) -> None:
    """Put the summary in its place; nothing else is touched, and a page without the marks is left alone."""
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        return
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    files.replace(path, f"{before}{BEGIN}\n\n{summary(folder, machines, newest)}\n{END}{after}")


def summary(folder: str, machines: Sequence[dict[str, Any]], newest: Sequence[answers.Answer]) -> str:
    told = markdown.table(answers.newest_table(newest))
    shown = next((machine for machine in machines if PICTURE in machine["figures"]), None)
    if not shown:
        return told
    title = "FGM is a gradient penalty to first order: what is left over, against the radius"
    return f"![{title}]({folder}/{markdown.path(shown, PICTURE)})\n\n{told}"
