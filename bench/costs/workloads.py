"""The problems that are timed: the cases of `equivalence` at full size, on the same real data.

Parameters come from fixed seeds and are representable in float32, so every framework solves the same problem.
"""

import functools
import inspect
import re
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
WORKLOADS: dict[str, Callable[..., Case]] = {}
CHECKPOINT = "checkpoint "  # begins the name of a workload that is no function's
COUNT = re.compile("0*[1-9][0-9]{0,8}")
SIZES = re.compile(r"(?: \w+=\S*)*$")


def workload(make: Callable[..., Case]) -> Callable[..., Case]:
    """Register a problem under its function's name. Made on demand: the data may not be installed."""
    WORKLOADS[make.__name__.replace("_", "-")] = make
    return make


@functools.cache
def build(name: str, half: str = "") -> Case:
    """The problem of that name, as `named` reads it. `half`: a dtype of half precision, which holds its numbers."""
    case = one_draw(named(name)())
    return case.rounded(half) if half else case


def named(name: str) -> Callable[[], Case]:
    """What makes the problem of that name: "digits-mlp", sizes of one's own "digits-mlp batch=64 width=256".

    "checkpoint PATH" is the BERT in a checkpoint, and has sizes too.

    Raises:
        ValueError: there is no such problem, or it has no such size.
    """
    stated = SIZES.search(name)[0]  # type: ignore[index]  # it is found in every text, perhaps empty
    base = name.removesuffix(stated)
    if base.startswith(CHECKPOINT):
        make: Callable[..., Case] = functools.partial(bert_from, base.removeprefix(CHECKPOINT))
    elif base in WORKLOADS:
        make = WORKLOADS[base]
    else:
        raise ValueError(f"workload: got {base!r}, expected some of {', '.join(WORKLOADS)}")
    given = [size.split("=", 1) for size in stated.split()]
    sizes = dict(given)
    if len(sizes) < len(given):
        raise ValueError(f"workload {base}: got {stated.strip()!r}, expected each size once")
    known = inspect.signature(make).parameters
    if not (sizes.keys() <= known.keys() and all(map(COUNT.fullmatch, sizes.values()))):
        offered = ", ".join(f"{size}={known[size].default}" for size in known) or "none"
        raise ValueError(f"workload {base}: got {stated.strip()!r}, expected some of {offered}, each at least 1")
    return functools.partial(make, **{size: int(value) for size, value in sizes.items()})


def one_draw(case: Case) -> Case:
    """The case with one draw of each array that holds several: more would be computed with at every step."""
    extra = {name: array[:1] if holds_draws(name) else array for name, array in case.extra.items()}
    return replace(case, directions=None, extra=extra)


def holds_draws(name: str) -> bool:
    """Whether an array of the case holds draws, (K, ...)."""
    return any(fnmatch(name, pattern) for pattern in DRAWN)


def of_parameters(name: str) -> bool:
    """Whether an array of the case belongs to parameters, and not to samples."""
    return any(fnmatch(name, pattern) for pattern in OF_PARAMETERS)


@workload
def digits_mlp(batch: int = 128, side: int = 28, width: int = 1024, classes: int = 10) -> Case:
    """The middle `side` × `side` of each image. More classes than ten are told apart by nothing; they cost the same."""
    params = dense_params(np.random.default_rng(20), [side * side, width, width, classes], gain=1.5)
    title = f"{batch} real digits, tanh network {side * side}-{width}-{width}-{classes}"
    images, labels = datasets.digits()
    edge = (28 - side) // 2
    case = Case(
        name="digits-mlp",
        title=title,
        model="mlp",
        loss="cross_entropy",
        params=params,
        labels=(labels[:batch] + 10 * np.arange(batch, dtype=labels.dtype)) % classes,
        x=images[:batch, edge : edge + side, edge : edge + side].astype(np.float64),
    )
    return with_arguments(case, (side, side), classes, seed=9)


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
    mask = (tokens != datasets.PADDING).astype(np.float64)
    case = Case(
        name=name,
        title=title,
        model="bert",
        loss="cross_entropy",
        params=params,
        labels=labels,
        tokens=tokens % vocabulary,
        mask=mask,
        options={"heads": heads},
    )
    extra = arguments(np.random.default_rng(seed), case, (length, width), len(params["classifier.bias"]))
    extra["padding"] = mask
    return replace(case, extra={name: float32_exact(array) for name, array in extra.items()})


def bert_from(path: str | Path, batch: int = 8, length: int = 64) -> Case:
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
    return bert_case(Path(path).name, title, params, batch=batch, length=length, seed=28, **options)


@workload
def bert_tiny(batch: int = 32, length: int = 64) -> Case:
    params = bert_params(np.random.default_rng(24), Size(30522, width=128, hidden=512, layers=2), classes=2)
    title = f"{batch} real Chinese reviews of {length} characters, BERT of 2 layers, width 128, random parameters"
    return bert_case("bert-tiny", title, params, heads=2, batch=batch, length=length, seed=25)


@workload
def bert_base(batch: int = 8, length: int = 128) -> Case:
    """The size of the Chinese BERT that is usually trained this way."""
    params = bert_params(np.random.default_rng(26), Size(21128, width=768, hidden=3072, layers=12), classes=2)
    title = f"{batch} real Chinese reviews of {length} characters, BERT of 12 layers, width 768, random parameters"
    return bert_case("bert-base", title, params, heads=12, batch=batch, length=length, seed=27)
