"""README.md of a folder of results: tables as Markdown, figures as files beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.report.tables.entries import NOT_MEASURED

if TYPE_CHECKING:
    import jinja2

MARKUP = {character: f"\\{character}" for character in "\\|*_`[]<"} | {"&": "&amp;"}
# Whatever may end a line would split a row: the control characters of both halves of Latin-1, and Unicode's two.
ENDING = {chr(code): " " for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}
SPECIAL = str.maketrans(MARKUP | ENDING)


def environment(**filters: Any) -> "jinja2.Environment":
    """Load the templates with filters that write tables (`table`) and figures (`show_figures`) for one kind of page."""
    import jinja2  # here: a comparison writes tables, and does without it

    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=lambda name: str(name).endswith(".html.j2"),  # in Markdown `text` escapes what comes from records
    )
    found.filters |= {"text": text} | filters
    return found


def render(machines: Sequence[Mapping[str, Any]], **facts: Any) -> str:
    """The page. The same sections give the same text."""
    templates = environment(table=table, show_figures=show_figures)
    return templates.get_template("README.md.j2").render(machines=machines, **facts)


def table(frame: pd.DataFrame, plots: Mapping[str, Any] | None = None) -> str:
    """A table, or that there is nothing to show; with `plots`, a machine's, names in the first column lead there."""
    if frame.empty:
        return f"{NOT_MEASURED}\n"
    lines = [[text(cell) for cell in row] for row in (frame.columns, *frame.itertuples(index=False))]
    for line in lines if plots else ():
        if plots and f"{line[0]}.svg" in plots["figures"]:
            line[0] = f"[{line[0]}]({path(plots, f'{line[0]}.svg')})"
    lines.insert(1, ["---"] * len(frame.columns))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def show_figures(machine: Mapping[str, Any], kind: str) -> str:
    return "".join(f"![{name}]({path(machine, name)})\n\n" for name in machine[kind])


def path(machine: Mapping[str, Any], figure: str) -> str:
    return f"{machine['name']}/figures/{figure}"


def text(value: Any) -> str:
    """Free of what Markdown would read as markup."""
    return str(value).translate(SPECIAL)
