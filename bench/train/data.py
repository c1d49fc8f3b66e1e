"""A data set drawn for a seed: which samples have labels, what model starts from where.

A `Batch` is {name: array} with a row a sample: "x", or "tokens" and "mask", and "labels".
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from equivalence.cases import Case

Batch = dict[str, np.ndarray]
VALIDATION = 500  # samples; not a small part of few labels, but the same for every regime


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
    elsewhere: Batch | None = None  # a test on text of other sources
    granule: int = 0  # batches of text are cut to a multiple of this that holds their longest; 0: all are as long


def rows(batch: Batch, which: np.ndarray) -> Batch:
    return {name: array[which] for name, array in batch.items()}


def size(batch: Batch) -> int:
    return len(batch["labels"])


def first(batch: Batch) -> dict[str, Any]:
    """The one sample that a model's start has for its batch."""
    return {name: array[:1] for name, array in batch.items()}


def trimmed(batch: Batch, granule: int) -> Batch:
    """The batch without the columns that are padding in every row; a multiple of `granule` is left."""
    if not granule:
        return batch
    longest = int(batch["mask"].sum(1).max())
    end = min(batch["mask"].shape[1], -(-longest // granule) * granule)
    return batch | {name: batch[name][:, :end] for name in ("tokens", "mask")}


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
