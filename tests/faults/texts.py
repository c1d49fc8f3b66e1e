"""Text of others in every field that is text: it is shown as it is, and means nothing to whatever shows it."""

import csv
import html.parser
import io
import json
import re

from bench.commands.measuring import told
from bench.commands.screen import Screen
from bench.records.store import read
from bench.report import export, page, terminal
from tests.faults.harness import Kind, Verdict, a_folder, lines_of, some_records, write_store

TEXTS = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</table></div><h1>x</h1>", "\"><svg onload=alert(1)>",
    "' onmouseover='alert(1)", "&lt;b&gt;", "| a | b |", "a\r\nb", "a\n\n# heading\n\n", "[x](javascript:alert(1))",
    "![x](http://example.org/x.png)", "`code` **bold** _it_", "\\", "[red]x[/red]", "[/]",
    "\x1b[31mred\x1b]0;title\x07",
    "\x00\x01\x7f\x9b31m", "\u202etxet\u2066", "=1+1", "a,\"b\"\n;c\t", "{{ 7*7 }}{% raw %}", "<!-- --><![CDATA[x]]>",
]  # fmt: skip
FIXED = {"kind", "framework", "status", "part", "time"}  # checked by the schema, or needed to tell records apart
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def inflict(number: int, seed: int) -> Verdict:
    text = TEXTS[number % len(TEXTS)]
    field = number // len(TEXTS)
    verdict = Verdict(f"{text!r} in {'every field' if field == 0 else 'every key of a mapping'}")
    lines = [json.dumps(changed(json.loads(line), text, field == 1)) for line in lines_of(some_records(2))]
    with a_folder() as folder:
        path = write_store(folder / "out", lines)
        records, _ = read(path)
        try:
            page.write(folder / "out")
            look_at_page((folder / "out" / "index.html").read_text(encoding="utf-8"), verdict)
            for name in ("README.md", "summary.md"):
                look_at_markdown(name, (folder / "out" / name).read_bytes().decode(), verdict)
            look_at_terminal(records, verdict)
            look_at_tables(folder, verdict)
            for record in records:
                if record.kind != "environment":
                    json.loads(json.dumps(told(record)))
        except Exception as error:
            verdict.tracebacks += 1
            verdict.complaints.append(f"{type(error).__name__}: {error}"[:400])
    return verdict


def changed(record: dict, text: str, keys: bool) -> dict:
    """The record with the text at the end of every text, or of every key of its mappings."""
    if record["kind"] == "store":
        return record
    found = {}
    for name, value in record.items():
        if isinstance(value, str) and name not in FIXED and not keys:
            value = value + text
        elif isinstance(value, dict) and name in ("packages", "variables", "derivatives", "failures", "parts"):
            value = {
                f"{key}{text}" if keys else key: f"{each}{text}" if isinstance(each, str) and not keys else each
                for key, each in value.items()
            }
        found[name] = value
    return found


class Tags(html.parser.HTMLParser):
    """The elements of a page, with their attributes, less what scripts and styles hold."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.found.append((tag, dict(attributes)))


def look_at_page(text: str, verdict: Verdict) -> None:
    """No element of the page comes from a record."""
    tags = Tags()
    tags.feed(text)
    for tag, attributes in tags.found:
        bad = [name for name in attributes if name.startswith("on")]
        values = " ".join(str(value) for name, value in attributes.items() if name in ("href", "src"))
        verdict.complain_unless(
            not bad and "javascript:" not in values and "example.org" not in values,
            f"the page has <{tag} {attributes}>"[:200],
        )
    titles = [tag for tag, _ in tags.found if tag in ("img", "iframe", "object", "base")]
    verdict.complain_unless(not titles, f"the page has {titles[:3]}")


def look_at_markdown(name: str, text: str, verdict: Verdict) -> None:
    """Every row of a table has as many cells as its head; no link, image or element comes from a record."""
    from markdown_it import MarkdownIt

    verdict.complain_unless(not CONTROL.search(text), f"{name} has control characters")
    cells = None
    for line in text.split("\n"):
        count = len(re.findall(r"(?<!\\)(?:\\\\)*\|", line))
        if line.startswith("|"):
            cells = cells or count
            verdict.complain_unless(
                count == cells, f"{name}: a row has {count - 1} cells, not {cells - 1}: {line[:120]}"
            )
        else:
            cells = None
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        for child in token.children or []:
            links = str((child.attrs or {}).get("href", "")) + str((child.attrs or {}).get("src", ""))
            verdict.complain_unless("example.org" not in links and "javascript" not in links, f"{name}: {links[:80]}")
            verdict.complain_unless(child.type != "html_inline", f"{name} has {child.content[:60]}")
            bold = (child.type == "text" and child.content == "bold") or (
                child.type == "code_inline" and child.content == "code"
            )
            verdict.complain_unless(not bold, f"{name}: a record's text is markup")


def look_at_terminal(records: list, verdict: Verdict) -> None:
    """Tables and reasons are printed, and nothing of a record tells the terminal what to do."""
    output = io.StringIO()
    console = Screen(file=output, width=200, force_terminal=False)
    for show in (
        terminal.print_claims,
        terminal.print_agreement,
        terminal.print_calls,
        terminal.print_variations,
        terminal.print_atlas,
        terminal.print_costs,
        terminal.print_peers,
        terminal.print_effects,
        terminal.print_selfcheck,
        terminal.print_growth,
    ):
        wanted = {"print_variations": "variations", "print_atlas": "atlas"}.get(show.__name__)
        show(console, [record for record in records if wanted in (None, record.kind)])
    for record in records:
        console.print(getattr(record, "reason", "") or getattr(record, "cpu", ""))
    found = CONTROL.search(output.getvalue())
    verdict.complain_unless(not found, f"the terminal gets {found[0]!r}" if found else "")


def look_at_tables(folder, verdict: Verdict) -> None:
    """Tables in CSV have their columns in every row."""
    export.export(folder / "out", folder / "tables", "csv")
    for path in (folder / "tables").glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            widths = {len(row) for row in csv.reader(file)}
        verdict.complain_unless(len(widths) == 1, f"{path.name}: rows of {sorted(widths)} cells")
    history = folder / "out" / "here" / "history.csv"
    for line in history.read_bytes().splitlines() if history.exists() else ():
        verdict.complain_unless(len(next(csv.reader([line.decode()]))) == 9, f"history.csv: {line[:80]!r}")


KIND = Kind("hostile texts", 2 * len(TEXTS), inflict)
