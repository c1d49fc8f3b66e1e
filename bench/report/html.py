"""index.html of a folder of results: one file that needs no network, with the record behind every cell.

The text is that of README.md, the tables are DataTables' (as itables packs it), and what records hold is compressed
into the page, to be opened one by one.
"""

import base64
import functools
import importlib.resources
import itertools
import json
import math
import re
import statistics
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
from markdown_it import MarkdownIt
from markupsafe import Markup

from bench.report import markdown
from bench.report.figures import DRAWING
from bench.report.formulas import write_mathml
from bench.report.reproduce import command
from bench.report.tables.entries import BAD, NOT_MEASURED, OPEN, Entry, State, as_entry
from bench.report.tables.outcomes import DTYPES, HALF_DTYPES, column
from impls import FRAMEWORKS

DATATABLES = importlib.resources.files("itables") / "html"
SELECTORS = ("framework", "device", "mode", "workload")  # columns that a reader chooses by, in all tables at once
SAME = ("dtype", "device", "optimizer")  # columns that are said once where they are the same in all rows
SMALL = ((25, "tiny"), (12, "smaller"), (10, "small"))  # columns beyond which a table is set so
BROKEN = ("smaller", "tiny")  # tables whose cells may break anywhere: they have no room for more
LARGEST = 5_900_000  # bytes of a page; records have what the rest leaves
RECORDS = "records come here"
FOLDED = r'<details class="topic"><summary>\1</summary>\2</details>\n'
METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
GZIP = 31  # zlib's word for a stream as gzip writes it
MANY, PART = 2000, 20  # records of which a part, one of so many, is tried first
LONGEST = (10**9, 64, 8, 0, -1)  # numbers of a list that are kept, until everything fits; at last no list at all
FORMULA = "formula"  # the column that is set as one
MEASURED = "data-records="  # of a cell that rests on records
WHOLE = 12  # characters of a cell that stay on a line
OWN = {name: name for name in FRAMEWORKS} | {
    column(name, dtype): name for name in FRAMEWORKS for dtype in (*DTYPES, *HALF_DTYPES)
}


def render(machines: Sequence[Mapping[str, Any]], first: Mapping[str, Any], **facts: Any) -> str:
    """The page. The same sections give the same bytes."""
    book = Book()
    templates = markdown.environment(table=book.table, show_figures=show_figures)
    machine, reading = (templates.get_template(name) for name in ("machine.md.j2", "reading.md.j2"))
    begun = render_first(book, templates, machines, first)
    names = [each["name"] for each in machines]
    bodies = [
        split_topics(render_markdown(machine.render(machine=each, **facts), f"{number}-"))
        for number, each in enumerate(machines)
    ]
    parts = [{"name": name, "body": fold(topics)} for name, topics in zip(names, lead_on(bodies, names), strict=True)]
    places = {name: place for each in machines for name, place in each["places"].items()}
    script, style = load_datatables()
    page = templates.get_template("index.html.j2").render(
        first=begun,
        machines=parts,
        reading=fold(split_topics(render_markdown(reading.render(**facts), "reading-"))),
        choices={name: sorted(found) for name, found in book.choices.items() if len(found) > 1},
        records=RECORDS,
        datatables=Markup(script),
        datatables_style=Markup(style),
    )
    return page.replace(RECORDS, pack_records(book.records, places, LARGEST - len(page.encode())))


class Book:
    """Writes tables, and numbers the records that their cells rest on in order of their first mention."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.choices: dict[str, set[str]] = {name: set() for name in SELECTORS}

    def table(self, frame: pd.DataFrame, plots: Mapping[str, Any] | None = None) -> str:
        """A table, or that there is nothing to show; with `plots`, a machine's, its first column's names lead there."""
        if frame.empty:
            return f"<p>{NOT_MEASURED}</p>\n"
        same = {name for name in SAME if name in frame and len(frame) > 1 and frame[name].nunique() == 1}
        said = ", ".join(f"{name}: {frame[name].iloc[0]}" for name in frame.columns if name in same)
        heads = "".join(self.head(str(name)) for name in frame.columns if name not in same)
        rows = [[as_entry(value) for value in row] for row in frame.itertuples(index=False)]
        numbers = [sum(math.isfinite(entry.number) for entry in entries) for entries in zip(*rows, strict=True)]
        counted = [known > len(rows) / 2 for known in numbers]
        size = next((word for most, word in SMALL if len(frame.columns) > most), "")
        whole = 0 if size in BROKEN else WHOLE
        body = "\n".join(self.row(list(frame.columns), counted, row, plots, same, whole) for row in rows)
        said = f"<p>In all rows {escape(said)}.</p>\n" if said else ""
        size = f' class="{size}"' if size else ""
        return (
            f'{said}<div class="scroll" tabindex="0" role="group" aria-label="table">\n'
            f"<table{size}>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>\n"
        )

    def head(self, name: str) -> str:
        """A column's; one that is a framework's own says so, to be hidden where others are looked at."""
        only = f' data-framework="{OWN[name]}"' if name in OWN else ""
        return f'<th scope="col"{only}>{escape(name)}</th>'

    def row(
        self,
        columns: Sequence[Any],
        counted: Sequence[bool],
        row: Sequence[Entry],
        plots: Mapping[str, Any] | None,
        same: Collection[str],
        whole: int,
    ) -> str:
        facts = ""
        for name, entry in zip(columns, row, strict=True):
            if name in SELECTORS and entry.text:
                self.choices[name].add(entry.text)
                facts += f' data-{name}="{escape(entry.text)}"'
        cells = [
            f"<td>{write_mathml(entry)}</td>"
            if name == FORMULA
            else self.cell(entry, number, None if place else plots, whole)
            for place, (name, entry, number) in enumerate(zip(columns, row, counted, strict=True))
            if name not in same
        ]
        return f"<tr{facts}>{''.join(cells)}</tr>"

    def cell(
        self, entry: Entry, counted: bool = False, plots: Mapping[str, Any] | None = None, whole: int = WHOLE
    ) -> str:
        """Text that opens the records behind it; in a column with numbers it sorts by its own, or before them all.

        whole: characters that stay on a line.
        """
        shown, order, kinds = escape(entry), "", ["whole"] if 0 < len(entry) <= whole else []
        if plots and f"{entry}.svg" in plots["figures"]:
            shown = f'<a href="#{name_anchor(plots, f"{entry}.svg")}">{shown}</a>'
        elif entry.link:
            shown = f'<a href="{escape(entry.link)}" rel="noreferrer">{shown}</a>'
        elif entry.records:
            numbers = " ".join(str(self.number(record)) for record in entry.records)
            shown = f'<button type="button" data-records="{numbers}">{shown}</button>'
        if counted:
            order = f' data-order="{entry.number if math.isfinite(entry.number) else ""}"'
        if state := choose_class(entry):
            kinds.append(state)
        named = f' class="{" ".join(kinds)}"' if kinds else ""
        return f"<td{order}{named}>{shown}</td>"

    def number(self, record: Any) -> int:
        if id(record) not in self.numbers:
            self.numbers[id(record)] = len(self.records)
            self.records.append(record)
        return self.numbers[id(record)]


def choose_class(entry: Entry) -> State:
    """The class that colours an entry: what other code measured is as open as what nobody did, unless it is bad."""
    return OPEN if entry.stale and entry.state != BAD else entry.state


def render_first(
    book: "Book", templates: Any, machines: Sequence[Mapping[str, Any]], first: Mapping[str, Any]
) -> Markup:
    """The first screen."""
    table = first["advice"].table
    return Markup(
        templates.get_template("first.html.j2").render(
            first,
            machines=machines,
            anchor=lambda place, heading: f"{place}-{slug(heading)}",
            pictures=[
                Markup(inline_svg(tile.picture, f"tile-{number}")) if tile.picture else ""
                for number, tile in enumerate(first["tiles"])
            ],
            labels=list(dict.fromkeys(table["labels"])),
            frameworks=list(dict.fromkeys(table["framework"])),
            candidates=Markup(book.table(table)),
        )
    )


def split_topics(body: str) -> list[str]:
    """What stands before the first heading, and then each heading with what stands below it."""
    return re.split(r"(?=<h2 )", body)


def lead_on(bodies: Sequence[Sequence[str]], names: Sequence[str]) -> list[list[str]]:
    """To a topic of which a machine has no record, add a link to the first machine that has some."""
    measured: dict[str, int] = {}
    for number, topics in enumerate(bodies):
        for topic in topics:
            if MEASURED in topic:
                measured.setdefault(name_topic(topic), number)

    def extend(topic: str) -> str:
        name = name_topic(topic)
        if MEASURED in topic or name not in measured:
            return topic
        place = measured[name]
        return f'{topic}<p><a class="elsewhere" href="#{place}-{name}">measured on {escape(names[place])} →</a></p>\n'

    return [[extend(topic) for topic in topics] for topics in bodies]


def name_topic(topic: str) -> str:
    """The name of a topic on every machine: that of its heading without the machine's number."""
    found = re.match(r'<h2 id="\d+-([^"]*)"', topic)
    return found[1] if found else ""


def fold(parts: Sequence[str]) -> Markup:
    """Each heading with what stands below it, folded: the heading opens it."""
    before, *topics = parts
    folded = [re.sub(r"\A(<h2 .*?</h2>)(.*)\Z", FOLDED, topic, flags=re.DOTALL) for topic in topics]
    return Markup(before + "".join(folded))


def show_figures(machine: Mapping[str, Any], kind: str) -> str:
    """The figures of a kind, each where tables' links lead."""
    named = {name_anchor(machine, name): svg for name, svg in machine[kind].items()}
    return "".join(
        f'<figure id="{name}">\n{inline_svg(svg, name)}\n{stack_panels(svg, name)}</figure>\n\n'
        for name, svg in named.items()
    )


def stack_panels(svg: str, name: str) -> str:
    """The panels of a figure one below the other, as a phone shows them: each a view of its part of the drawing."""
    found = re.search(r'aria-label="([^"]*)" data-panels="([^"]*)"', svg)
    if not found:
        return ""
    views = "".join(
        f'<svg viewBox="{box}" aria-hidden="true"><use href="#{shorten(name)}-{DRAWING}"/></svg>\n'
        for box in found[2].split(";")
    )
    return f'<div class="stacked"><p>{found[1]}</p>\n{views}</div>\n'


def name_anchor(machine: Mapping[str, Any], figure: str) -> str:
    return f"{machine['name']}-{figure.removesuffix('.svg')}"


def inline_svg(svg: str, name: str) -> str:
    """A figure as a part of a page: no declaration of its own, names that no other figure has, and no blank line.

    A blank line would end a block of HTML in Markdown. Names are repeated thousands of times, and short.
    """
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{shorten(name)}-", METADATA.sub("", svg))
    return "\n".join(line.strip() for line in svg[svg.index("<svg") :].splitlines() if line.strip())


def shorten(name: str) -> str:
    """What stands for a long name in a page: no two of some hundred are alike, and a letter comes first."""
    return f"f{zlib.crc32(name.encode()):x}"


def render_markdown(text: str, prefix: str) -> Markup:
    """Markdown as HTML, a name to lead to for every heading."""
    parser = MarkdownIt("commonmark", {"html": True})
    tokens = parser.parse(text)
    for opened, content in itertools.pairwise(tokens):
        if opened.type == "heading_open":
            opened.attrSet("id", prefix + slug(content.content))
            opened.tag = f"h{max(2, int(opened.tag[1]) - 1)}"
        if opened.type == "heading_close":
            opened.tag = f"h{max(2, int(opened.tag[1]) - 1)}"
    return Markup(parser.renderer.render(tokens, parser.options, {}))


def slug(heading: str) -> str:
    return re.sub(r"\W+", "-", heading.lower()).strip("-")


def pack_records(records: Sequence[Any], places: Mapping[str, Any], room: int) -> str:
    """The records with the commands that measure them again, compressed; long lists are cut where they do not fit."""
    for longest in LONGEST:
        last = longest == LONGEST[-1]
        if not last and much_larger(records, places, longest, room):
            continue
        if found := compress(write_json(records, places, longest), math.inf if last else room):
            break
    return found


def much_larger(records: Sequence[Any], places: Mapping[str, Any], longest: int, room: int) -> bool:
    """Whether a part of many records says that all of them have no room; it may compress half as well by itself."""
    part = records[::PART]
    return len(records) > MANY and len(compress(write_json(part, places, longest), math.inf)) * len(records) > (
        2 * room * len(part)
    )


def write_json(records: Sequence[Any], places: Mapping[str, Any], longest: int) -> Iterator[str]:
    """JSON of records and environments, piece by piece: all of it may be larger than the memory has room for."""

    def text(value: Any) -> str:
        return json.dumps(simplify(value, longest), separators=(",", ":"), ensure_ascii=False)

    yield '{"records":['
    for number, record in enumerate(records):
        yield "," * (number > 0) + text(record.model_dump() | {"again": command(record)})
    yield f'],"environments":{text({name: place.model_dump() for name, place in places.items()})}}}'


def compress(parts: Iterable[str], room: float) -> str:
    """Base 64 of gzip; empty as soon as it is clear that it takes more room."""
    stream, found, size = zlib.compressobj(9, wbits=GZIP), [], 0
    for part in parts:
        found.append(stream.compress(part.encode()))
        size += len(found[-1])
        if size * 4 / 3 > room:
            return ""
    text = base64.b64encode(b"".join(found) + stream.flush()).decode()
    return text if len(text) <= room else ""


def simplify(value: Any, longest: int) -> Any:
    """Numbers that JSON has, and of a list that is too long what it is like."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        nested = list | tuple | dict if longest < 0 else ()
        return {str(name): simplify(each, longest) for name, each in value.items() if not isinstance(each, nested)}
    if isinstance(value, list | tuple):
        return [simplify(each, longest) for each in value] if len(value) <= longest else summarise(value)
    return value


def summarise(values: Sequence[Any]) -> dict[str, Any]:
    """A list that the page has no room for: all of it is in the records' file."""
    numbers = [value for value in values if isinstance(value, int | float) and math.isfinite(value)]
    if not numbers:
        return {"left out here": len(values)}
    middle = statistics.median(numbers)
    return {"left out here": len(values), "least": min(numbers), "median": middle, "largest": max(numbers)}


@functools.cache
def load_datatables() -> tuple[str, str]:
    """DataTables' script and style as itables packs them; where the script exports it, it gets a name instead."""
    script, style = (DATATABLES.joinpath(f"dt_bundle.{kind}").read_text("utf-8") for kind in ("js", "css"))
    exported = re.search(r"export\{[^}]*?(\w+) as default[^}]*\};?", script)
    if not exported:
        raise ValueError("itables: got a bundle without a default export, expected DataTables: another version?")
    named = script[: exported.start()] + f"const DataTable = {exported[1]};" + script[exported.end() :]
    return named.replace("</script", "<\\/script"), style
