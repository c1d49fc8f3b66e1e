"""Data sets on which small models are trained from nothing: digits, and Chinese reviews by characters."""

from functools import cache

import numpy as np

from bench.train.data import Batch, Dataset, draw_parts, first, rows
from equivalence import datasets
from equivalence.cases import Case, cnn_params, text_params

LENGTH = 64  # characters of a review


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
    epochs = {100: 40, 200: 30, 300: 25, 1000: 12}.get(labelled, 8)
    return Dataset(f"reviews-{labelled}", title, known, rest, validation, test, start, epochs, 50, 2**-9)
