"""Records with a wrong value in a field: it is refused in words, by its line, or shown; nothing else suffers."""

import functools
import json

from bench.records.schema import SCHEMA
from bench.records.store import read, schema
from bench.report import export, page
from tests.faults.harness import Kind, Verdict, a_folder, generator, lines_of, some_records, write_store

COUNT = 500
DEEP: object = 1
for _ in range(150):
    DEEP = [DEEP]
WRONG = [
    None, True, -1, 0, 1e308, -1e308, 2**70, float("nan"), float("inf"), float("-inf"), "", " ", "nan", "0",
    "x" * 70_000,
    "[red]", "\x00", "\u202e", "a\nb\rc", [], [None], [[]], ["a"], [1e308, -1e308], [float("nan")] * 3, {}, {"a": {}},
    {"": None}, {"kind": "order"}, {"kind": []}, {"kind": "order", "steps": []}, {"x": {"kind": "exact"}}, DEEP,
]  # fmt: skip


@functools.cache
def fields() -> list[tuple[int, str]]:
    """Every field of a record of every kind: which record, and the field's name, with those nested in it."""
    found = []
    seen = set()
    for number, line in enumerate(lines_of(some_records(2))):
        record = json.loads(line)
        for path in paths(record):
            if (name := (record["kind"], path)) not in seen:
                seen.add(name)
                found.append((number, path))
    return found


def paths(value: object, before: tuple = (), deep: int = 3) -> list[tuple]:
    """Where a record's values are, a few levels deep."""
    if isinstance(value, dict) and deep:
        return [
            path
            for name, each in list(value.items())[:12]
            for path in [(*before, name), *paths(each, (*before, name), deep - 1)]
        ]
    if isinstance(value, list) and value and deep:
        return [(*before, 0)]
    return []


def inflict(number: int, seed: int) -> Verdict:
    rng = generator(seed, "values", number)
    all_fields = fields()
    place, path = all_fields[number % len(all_fields)]
    wrong = WRONG[rng.integers(len(WRONG))]
    lines = lines_of(some_records(2))
    record = json.loads(lines[place])
    verdict = Verdict(f"{record['kind']}.{'.'.join(map(str, path))} = {str(wrong)[:40]!r}")
    holder = record
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = wrong
    lines[place] = json.dumps(record)
    with a_folder() as folder:
        written = write_store(folder / "out", lines)
        try:
            look(folder, written, lines, place, verdict)
        except Exception as error:
            verdict.tracebacks += 1
            verdict.complaints.append(f"{type(error).__name__}: {error}"[:300])
    return verdict


def look(folder, path, lines: list[str], place: int, verdict: Verdict) -> None:
    """Every other record is read, and report, table and the record's own words are made."""
    others = {line for number, line in enumerate(lines) if number not in (0, place)}
    records, problems = read(path)
    verdict.lost += len(others - {record.model_dump_json() for record in records})
    verdict.complain_unless(len(problems) <= 1, f"more is said than is wrong: {problems[:2]}")
    said = page.write(folder / "out")
    verdict.complain_unless(len(said) >= len(problems), "the report does not say it")
    text = (folder / "out" / "index.html").read_text(encoding="utf-8")
    verdict.complain_unless(text.rstrip().endswith("</html>"), "half a page")
    if not problems and schema(path) == SCHEMA:  # else every command refuses the folder
        export.export(folder / "out", folder / "tables", "parquet" if place % 2 else "csv")


KIND = Kind("wrong values", COUNT, inflict)
