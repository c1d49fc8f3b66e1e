"""A report in the terminal: a verdict, then topic by topic sentences and tables."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.check.run import Report
from bench.check.statements import BAD, GOOD, OPEN, PLAIN, Section

MARKS = {GOOD: ("✓", "green"), BAD: ("✗", "bold red"), OPEN: ("!", "yellow"), PLAIN: (" ", "")}
VERDICTS = {False: "right: no derivative and no method is silently wrong", True: "WRONG: see the sentences in red"}


def show(console: Console, report: Report) -> None:
    """All of it."""
    about = report.about
    mode = "training mode" if about.get("training") else "evaluation mode"
    console.print(
        Text(f"{report.path}: {about.get('idiom')}, {about.get('samples')} samples, {about.get('dtype')}, {mode}")
    )
    for remark in about.get("remarks") or []:
        console.print(Text(f"! {remark}", style="yellow"))
    for section in (*report.sections.values(), report.advice):
        show_section(console, section)
    console.print(Text(VERDICTS[report.bad], style="bold red" if report.bad else "bold green"))


def show_section(console: Console, section: Section) -> None:
    console.print(Text(f"\n{section.title}", style="bold"))
    for state, text in section.sentences:
        mark, style = MARKS[state]
        console.print(Text(f"{mark} {text}", style=style if state != GOOD else ""))
    if section.rows:
        console.print(table(section))


def table(section: Section) -> Table:
    """The section's table; cells wrap, none is cut."""
    found = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for name in section.columns:
        found.add_column(name, overflow="fold")
    for state, row in zip(section.states, section.rows, strict=True):
        found.add_row(*(Text(cell, style=MARKS[state][1] if state in (BAD, OPEN) else "") for cell in row))
    return found
