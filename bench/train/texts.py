"""What a task of sentences is made of, wherever it comes from: a package, a folder of CLUE, a table."""

from dataclasses import dataclass, field


class BadData(Exception):
    """A data set cannot be used as it is."""


def check_encoding(encoding: str) -> None:
    """Refuse what Python does not know, and codecs that are not of text, as hex is."""
    try:
        "".encode(encoding)
    except (LookupError, ValueError):
        raise BadData(f"--encoding: got {encoding!r}, expected one that Python knows, utf-8 or gb18030") from None


@dataclass(frozen=True)
class Lines:
    """Sentences, and their classes by number; none where they have no labels."""

    sentences: list[str]
    labels: list[int]


def no_lines() -> Lines:
    return Lines([], [])


@dataclass(frozen=True)
class Task:
    """A data set before it is drawn for a seed; `classes` are the labels' names.

    Training, validation and unlabelled samples come from `train`, and `test` is the same for every seed. `unlabelled`
    and `elsewhere`, a test on text of other sources, may be empty.
    """

    name: str
    classes: tuple[str, ...]
    train: Lines
    test: Lines
    unlabelled: Lines = field(default_factory=no_lines)
    elsewhere: Lines = field(default_factory=no_lines)
