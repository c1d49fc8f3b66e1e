"""The problems that are timed: the cases of `equivalence` at full size, on the same real data.

Parameters come from fixed seeds and are representable in float32, so every framework solves the same problem.
"""

import functools
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from equivalence import datasets
from equivalence.bert import Size
from equivalence.cases import (
    Case,
    Params,
    arguments,
    bert_params,
    cnn_params,
    dense_params,
    digits_case,
    float32_exact,
    text_params,
    with_arguments,
)
from equivalence.checkpoint import load

DRAWN = ("noise", "noise *", "probes", "class_probes", "masks")  # (K, ...), by pattern
OF_PARAMETERS = ("noise *", "u *", "frequencies")  # arrays without an axis of samples
ON_REQUEST = ("bert-base",)  # timed only where it is named: seconds a step, and minutes for the oracle
WORKLOADS: dict[str, Callable[[], Case]] = {}


def workload(build: Callable[[], Case]) -> Callable[[], Case]:
    """Register a problem under its function's name. Built on demand: the data may not be installed."""
    built = functools.cache(lambda: one_draw(build()))
    WORKLOADS[build.__name__.replace("_", "-")] = built
    return built


def one_draw(case: Case) -> Case:
    """The case with one draw of each array that holds several: more would be computed with at every step."""
    extra = {name: array[:1] if drawn(name) else array for name, array in case.extra.items()}
    return replace(case, directions=None, extra=extra)


def drawn(name: str) -> bool:
    """Whether an array of the case holds draws, (K, ...)."""
    return any(fnmatch(name, pattern) for pattern in DRAWN)


def of_parameters(name: str) -> bool:
    """Whether an array of the case belongs to parameters, and not to samples."""
    return any(fnmatch(name, pattern) for pattern in OF_PARAMETERS)


@workload
def digits_mlp() -> Case:
    params = dense_params(np.random.default_rng(20), [784, 1024, 1024, 10], gain=1.5)
    return digits_case("digits-mlp", "128 real digits, tanh network 784-1024-1024-10", "mlp", params, 128)


@workload
def digits_cnn() -> Case:
    params = cnn_params(np.random.default_rng(21), (16, 32))
    return digits_case("digits-cnn", "128 real digits, two tanh convolutions, 16 and 32 channels", "cnn", params, 128)


@workload
def reviews_text() -> Case:
    """The whole vocabulary's table, as in training: most rows get no gradient, and a dense one is paid for."""
    reviews = datasets.reviews(length=64)
    tokens, labels = reviews.train_tokens[:64], reviews.train_labels[:64]
    case = Case(
        name="reviews-text",
        title="64 real Chinese reviews, embedding of width 32 and convolutions with 64 channels",
        model="text",
        loss="cross_entropy",
        params=text_params(np.random.default_rng(22), len(reviews.vocabulary), 32, 64),
        labels=labels,
        tokens=tokens,
        mask=(tokens != datasets.PADDING).astype(np.float64),
    )
    return with_arguments(case, (64, 32), 2, seed=23)


def bert_case(name: str, title: str, params: Params, heads: int, batch: int, length: int, seed: int) -> Case:
    """A BERT on real Chinese reviews, by their own numbers of characters: which rows they are changes no cost."""
    reviews = datasets.reviews(length=length)
    tokens, labels = reviews.train_tokens[:batch], reviews.train_labels[:batch]
    vocabulary, width = params["embeddings.word_embeddings.weight"].shape
    case = Case(
        name=name,
        title=title,
        model="bert",
        loss="cross_entropy",
        params=params,
        labels=labels,
        tokens=tokens % vocabulary,
        mask=(tokens != datasets.PADDING).astype(np.float64),
        options={"heads": heads},
    )
    extra = arguments(np.random.default_rng(seed), case, (length, width), len(params["classifier.bias"]))
    extra["padding"] = (tokens != datasets.PADDING).astype(np.float64)
    return replace(case, extra={name: float32_exact(array) for name, array in extra.items()})


def bert_from(path: str | Path, batch: int, length: int) -> Case:
    """A workload from a BERT's checkpoint (see `equivalence.checkpoint.load`), on real Chinese reviews.

    Raises:
        BadCheckpoint: the checkpoint cannot be used.
        ValueError: it has fewer positions than `length`, or there are fewer reviews than `batch`.
    """
    params, options = load(path)
    positions = len(params["embeddings.position_embeddings.weight"])
    reviews = len(datasets.reviews(length=length).train_labels)
    for name, given, most in (("length", length, positions), ("batch", batch, reviews)):
        if not 1 <= given <= most:
            raise ValueError(f"{name}: got {given}, expected a number from 1 to {most}")
    title = f"{batch} real Chinese reviews of {length} characters, BERT from {Path(path).name}"
    return one_draw(bert_case(Path(path).name, title, params, batch=batch, length=length, seed=28, **options))


@workload
def bert_tiny() -> Case:
    params = bert_params(np.random.default_rng(24), Size(30522, width=128, hidden=512, layers=2), classes=2)
    title = "32 real Chinese reviews of 64 characters, BERT of 2 layers, width 128, random parameters"
    return bert_case("bert-tiny", title, params, heads=2, batch=32, length=64, seed=25)


@workload
def bert_base() -> Case:
    """The size of the Chinese BERT that is usually trained this way."""
    params = bert_params(np.random.default_rng(26), Size(21128, width=768, hidden=3072, layers=12), classes=2)
    title = "8 real Chinese reviews of 128 characters, BERT of 12 layers, width 768, random parameters"
    return bert_case("bert-base", title, params, heads=12, batch=8, length=128, seed=27)
