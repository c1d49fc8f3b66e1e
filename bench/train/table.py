"""A task from a table of one's own: a CSV file with a column of texts and one of labels."""

import codecs
import csv
import sys
from collections import Counter
from pathlib import Path

from bench.train.clue import SHOWN, is_text
from bench.train.corpora import parted
from bench.train.texts import BadData, Task, check_encoding


def read(path: Path, text: str, label: str, skip_bad_lines: bool = False, encoding: str = "utf-8") -> Task:
    """The task in a table, named after it. A fifth of its rows, 1,000 at most, is the test part, always the same.

    Raises:
        BadData: the file or a column is missing, rows lack a text or a label or are written in another encoding
            (unless they are to be skipped; the message numbers them), or there are fewer than two classes.
    """
    rows = found_rows(path, text, label, skip_bad_lines, encoding)
    counts = Counter(name for _, name in rows)
    if len(counts) < 2:
        names = f", {next(iter(counts))!r}" if counts else ""
        raise BadData(f"{path}: column {label!r}: got {len(counts)} classes{names}, expected two or more")
    classes = tuple(sorted(counts))
    task = parted(path.stem, classes, [(sentence, classes.index(name), "") for sentence, name in rows])
    if missing := [name for number, name in enumerate(classes) if number not in task.train.labels]:
        raise BadData(
            f"{path}: class {missing[0]!r} has no row left to train on: give it more examples, or leave it out"
        )
    return task


def found_rows(path: Path, text: str, label: str, skip_bad_lines: bool, encoding: str) -> list[tuple[str, str]]:
    """Text and label of each row that has both."""
    if not path.is_file():
        raise BadData(f"{path}: not found, expected a CSV file with a header")
    check_encoding(encoding)
    csv.field_size_limit(sys.maxsize)  # a text may be long
    found, bad = [], []
    with path.open(newline="", encoding=without_mark(encoding), errors="surrogateescape") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        if missing := [name for name in (text, label) if name not in columns]:
            there = ", ".join(columns) or "none"
            raise BadData(f"{path}: no column {' and no column '.join(map(repr, missing))}; its columns: {there}")
        for row in reader:
            given = [(row[name] or "").strip() for name in (text, label)]
            if complaint := wrong(given, (text, label), encoding):
                bad.append(f"line {reader.line_num}: {complaint}")
            else:
                found.append((given[0], given[1]))
    if bad and not skip_bad_lines:
        rest = f"; {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise BadData(f"{path}: {'; '.join(bad[:SHOWN])}{rest}. --skip-bad-lines goes on without them")
    return list(dict.fromkeys(found))  # a row that stands twice would be trained on and tested


def without_mark(encoding: str) -> str:
    """The encoding, of UTF-8 the one that takes the mark at the beginning for none, as spreadsheets write it."""
    return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding


def wrong(given: list[str], columns: tuple[str, str], encoding: str) -> str:
    """What is the matter with a row; "" where nothing is."""
    for value, column in zip(given, columns, strict=True):
        if not value:
            return f"{column}: got nothing, expected text"
        if not is_text(value):
            return f"{column}: not written in {encoding}; --encoding names another, gb18030 for instance"
    return ""
