"""The data sets, drawn for a seed: which samples have labels, what model starts from where.

A `Batch` is {name: array} with a row a sample: "x", or "tokens" and "mask", and "labels".
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.train import clue
from equivalence import datasets
from equivalence.cases import Case, cnn_params, text_params
from equivalence.checkpoint import load

Batch = dict[str, np.ndarray]
VALIDATION = 500  # samples; not a small part of few labels, but the same for every regime
LENGTH = 64  # characters of a review
SPECIAL = ("[UNK]", "[CLS]", "[SEP]", "[PAD]")  # words that every BERT's vocabulary has
SENTENCE = 128  # word pieces of a CLUE sentence, as many as BERT is usually fine-tuned with
EPOCHS = 3  # of fine-tuning


@dataclass(frozen=True)
class Dataset:
    """What one run trains on and is judged by. `start` is the model at its start, with one sample as its batch."""

    name: str
    title: str
    labelled: Batch
    unlabelled: Batch  # without labels: zeros stand in their place, and nothing reads them
    validation: Batch
    test: Batch
    start: Case
    epochs: int
    batch: int
    rate: float  # of the optimiser; a power of two, which float32 and float64 have alike


def rows(batch: Batch, which: np.ndarray) -> Batch:
    return {name: array[which] for name, array in batch.items()}


def size(batch: Batch) -> int:
    return len(batch["labels"])


def first(batch: Batch) -> dict[str, Any]:
    """The one sample that a model's start has for its batch."""
    return {name: array[:1] for name, array in batch.items()}


def without_labels(batch: Batch) -> Batch:
    return batch | {"labels": np.zeros_like(batch["labels"])}


def draw_parts(pool: Batch, count: int, seed: int) -> tuple[Batch, Batch, Batch]:
    """`count` labelled samples, as many of each class as can be, the validation part, and the rest without labels."""
    rng = np.random.default_rng((seed, 1))
    order = rng.permutation(size(pool))
    validation, rest = order[:VALIDATION], order[VALIDATION:]
    labels = pool["labels"][rest]
    place = np.empty(len(rest), int)
    for label in np.unique(labels):  # a sample's place among those of its class
        place[labels == label] = np.arange((labels == label).sum())
    fair = rest[np.argsort(place, kind="stable")]
    return rows(pool, fair[:count]), rows(pool, validation), without_labels(rows(pool, fair[count:]))


@cache
def digit_parts() -> tuple[Batch, Batch]:
    """A pool of 3,500 to draw from, and 1,500 for the test."""
    images, labels = datasets.digits()
    every = {"x": images.astype(np.float64), "labels": labels}
    return rows(every, np.arange(3500)), rows(every, np.arange(3500, 5000))


def digits(seed: int, labelled: int) -> Dataset:
    pool, test = digit_parts()
    known, validation, rest = draw_parts(pool, labelled, seed)
    start = Case(
        name="digits",
        title="tanh convolutions with 16 and 32 channels",
        model="cnn",
        loss="cross_entropy",
        params=cnn_params(np.random.default_rng((seed, 2)), (16, 32)),
        **first(known),
    )
    title = f"{labelled:,} labelled digits"
    epochs = 20 if labelled >= 1000 else 60
    return Dataset(f"digits-{labelled}", title, known, rest, validation, test, start, epochs, 50, 2**-9)


@cache
def review_parts() -> tuple[Batch, Batch, int]:
    """The training part, the test part, and the size of the vocabulary."""
    found = datasets.reviews(length=LENGTH)

    def batch(tokens: np.ndarray, labels: np.ndarray) -> Batch:
        return {"tokens": tokens, "mask": (tokens != datasets.PADDING).astype(np.float64), "labels": labels}

    seen = {row.tobytes() for row in found.test_tokens}
    own = np.array([row.tobytes() not in seen for row in found.train_tokens])  # a few differ later than LENGTH alone
    pool = batch(found.train_tokens[own], found.train_labels[own])
    return pool, batch(found.test_tokens, found.test_labels), len(found.vocabulary)


def reviews(seed: int, labelled: int) -> Dataset:
    pool, test, vocabulary = review_parts()
    known, validation, rest = draw_parts(pool, labelled, seed)
    start = Case(
        name="reviews",
        title="characters, embedding of width 32, convolutions of width 3 and 5 with 64 channels",
        model="text",
        loss="cross_entropy",
        params=text_params(np.random.default_rng((seed, 2)), vocabulary, 32, 64),
        **first(known),
    )
    title = f"{labelled:,} labelled Chinese reviews"
    epochs = {200: 30, 1000: 12}.get(labelled, 8)
    return Dataset(f"reviews-{labelled}", title, known, rest, validation, test, start, epochs, 50, 2**-9)


@dataclass(frozen=True)
class Source:
    """The place of a user's own data set, and how to read it."""

    folder: str
    checkpoint: str
    length: int = SENTENCE
    epochs: int = EPOCHS
    skip_bad_lines: bool = False
    encoding: str = "utf-8"


def clue_task(seed: int, source: Source) -> Dataset:
    """A CLUE task and a BERT. A tenth of train.json, 500 lines at most, is the validation part; dev.json is the test.

    Raises:
        clue.BadData: the folder's files, or the vocabulary beside the checkpoint, cannot be used.
        BadCheckpoint: the checkpoint cannot be used.
    """
    folder, checkpoint = Path(source.folder), Path(source.checkpoint)
    task = clue.read(folder, source.skip_bad_lines, source.encoding)
    params, options = load(checkpoint, len(task.classes), seed)
    if len(params["classifier.bias"]) != len(task.classes):
        raise clue.BadData(
            f"{checkpoint}: its classifier has {len(params['classifier.bias'])} classes, {folder} has"
            f" {len(task.classes)}. Take the classifier out of the checkpoint: a fresh one is drawn"
        )
    length = min(source.length, len(params["embeddings.position_embeddings.weight"]))
    encode = encoder(checkpoint, length, len(params["embeddings.word_embeddings.weight"]))
    known, test = encode(task.train), encode(task.dev)
    order = np.random.default_rng((seed, 1)).permutation(size(known))
    held = min(VALIDATION, max(1, len(order) // 10))
    validation, known = rows(known, order[:held]), rows(known, order[held:])
    rest = without_labels(encode(task.unlabelled)) if task.unlabelled.sentences else without_labels(known)
    start = Case(
        name="bert",
        title=f"BERT from {checkpoint.name}",
        model="bert",
        loss="cross_entropy",
        params=params,
        options=options,
        **first(known),
    )
    title = f"{task.name}: {size(known):,} sentences, {len(task.classes)} classes"
    return Dataset(task.name, title, known, rest, validation, test, start, source.epochs, 16, 2**-15)


def encoder(checkpoint: Path, length: int, vocabulary: int) -> Callable[[clue.Lines], Batch]:
    """From sentences to word pieces, by the vocab.txt beside a checkpoint."""
    from tokenizers import BertWordPieceTokenizer

    path = (checkpoint if checkpoint.is_dir() else checkpoint.parent) / "vocab.txt"
    if not path.is_file():
        raise clue.BadData(f"{path}: not found; copy the model's vocab.txt beside its weights")
    try:
        tokenizer = BertWordPieceTokenizer(str(path), lowercase=True)
    except Exception as error:  # the tokenizer's library raises nothing narrower
        raise clue.BadData(f"{path}: cannot be read as a vocabulary: {error}") from None
    if missing := [name for name in SPECIAL if tokenizer.token_to_id(name) is None]:
        raise clue.BadData(f"{path}: {', '.join(missing)} not found, expected BERT's words {', '.join(SPECIAL)}")
    if tokenizer.get_vocab_size() > vocabulary:
        raise clue.BadData(
            f"{path}: got {tokenizer.get_vocab_size()} words, expected at most {vocabulary}, the table's"
        )
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(length=length)

    def encode(lines: clue.Lines) -> Batch:
        encoded = tokenizer.encode_batch(lines.sentences)
        tokens = np.array([each.ids for each in encoded], np.int32)
        mask = np.array([each.attention_mask for each in encoded], np.float64)
        labels = np.array(lines.labels or [0] * len(tokens), np.int32)
        return {"tokens": tokens, "mask": mask, "labels": labels}

    return encode


@lru_cache(maxsize=2)
def dataset(name: str, seed: int, source: Source | None = None) -> Dataset:
    """One of DATASETS by its name, or the CLUE task of that name from a source."""
    return clue_task(seed, source) if source else DATASETS[name](seed)


DATASETS: dict[str, Callable[[int], Dataset]] = {
    **{f"reviews-{count}": partial(reviews, labelled=count) for count in (200, 1000, 4000)},
    **{f"digits-{count}": partial(digits, labelled=count) for count in (100, 1000)},
}
