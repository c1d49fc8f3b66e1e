"""Single-sentence tasks of CLUE from a folder, in the format in which IFLYTEK and TNEWS are published.

train.json, dev.json and perhaps test.json hold one JSON object a line, with "sentence" and, but for test.json, "label";
labels.json one a line with "label". Published test labels are secret: dev.json is what models are tested on.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from bench.train.texts import BadData, Lines, Task, check_encoding

TRAIN, DEV, TEST, LABELS = "train.json", "dev.json", "test.json", "labels.json"
SHOWN = 5  # bad lines that a message names


def read(folder: Path, skip_bad_lines: bool = False, encoding: str = "utf-8") -> Task:
    """The task in a folder, named after it; `encoding` is that of its files.

    Raises:
        BadData: files are missing, lines are malformed, are written in another encoding or have a label that
            labels.json does not (unless they are to be skipped; the message numbers them), there are fewer than two
            classes, or one has no line in train.json.
    """
    missing = [name for name in (TRAIN, DEV, LABELS) if not (folder / name).is_file()]
    if missing:
        raise BadData(f"{folder}: {', '.join(missing)} not found, expected CLUE's files {TRAIN}, {DEV} and {LABELS}")
    check_encoding(encoding)
    labels = objects(folder / LABELS, ("label",), encoding)
    classes = tuple(dict.fromkeys(str(line["label"]) for line in labels))
    if len(classes) < 2:
        raise BadData(f"{folder / LABELS}: got {len(classes)} classes, expected two or more")
    numbers = {name: number for number, name in enumerate(classes)}
    train, dev = (sentences(folder / name, numbers, skip_bad_lines, encoding) for name in (TRAIN, DEV))
    empty = sorted(set(range(len(classes))) - set(train.labels))
    if empty:
        names = ", ".join(classes[number] for number in empty[:SHOWN])
        raise BadData(f"{folder / TRAIN}: no line has label {names}: take {'it' if len(empty) == 1 else 'them'} out of"
                      f" {LABELS}, or give the class an example")  # fmt: skip
    test = folder / TEST
    unlabelled = sentences(test, {}, skip_bad_lines, encoding) if test.is_file() else Lines([], [])
    return Task(folder.name, classes, train, dev, unlabelled)


def sentences(path: Path, numbers: dict[str, int], skip_bad_lines: bool, encoding: str) -> Lines:
    """A file's sentences, with labels unless no label has a number."""
    fields = ("sentence", "label") if numbers else ("sentence",)
    found = Lines([], [])
    for line in objects(path, fields, encoding, None if skip_bad_lines else 0, numbers):
        found.sentences.append(line["sentence"])
        if numbers:
            found.labels.append(numbers[str(line["label"])])
    if not found.sentences:
        raise BadData(f"{path}: no line can be used, expected one JSON object a line")
    return found


def objects(
    path: Path,
    fields: tuple[str, ...],
    encoding: str,
    allowed: int | None = 0,
    known: dict[str, int] | None = None,
) -> Iterator[dict[str, str]]:
    """The objects of a file that have the fields and a known label; more bad lines than allowed raise."""
    bad = []
    with path.open(encoding=encoding, errors="surrogateescape") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            if complaint := wrong(line, fields, encoding, known):
                bad.append(f"line {number}: {complaint}")
            else:
                yield json.loads(line)
    if allowed is not None and len(bad) > allowed:
        rest = f"; {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise BadData(f"{path}: {'; '.join(bad[:SHOWN])}{rest}. --skip-bad-lines goes on without them")


def wrong(line: str, fields: tuple[str, ...], encoding: str, known: dict[str, int] | None) -> str:
    """What is the matter with a line; "" where nothing is."""
    if not is_text(line):
        return f"not written in {encoding}; --encoding names another, gb18030 for instance"
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not JSON ({error})"
    if not isinstance(found, dict):
        return f"got a {type(found).__name__}, expected an object"
    for field in fields:
        value = found.get(field)
        allowed = (str,) if field == "sentence" else (str, int)  # labels are published as numbers, too
        if type(value) not in allowed or not str(value).strip():
            return f"{field}: got {value!r:.60}, expected text"
        if not is_text(str(value)):
            return f"{field}: got half of a character, {value!r:.60}, expected text"
    if known and str(found.get("label")) not in known:
        return f"label: got {found['label']!r}, which {LABELS} does not have"
    return ""


def is_text(text: str) -> bool:
    """Whether every character is one; half of a pair is none, and stands for bytes of another encoding, too."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
