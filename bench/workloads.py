"""The problems that are timed: the cases of `equivalence` at full size, on the same real data.

Parameters come from fixed seeds and are representable in float32, so every framework solves the same problem.
"""

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from equivalence import datasets
from equivalence.cases import Case, cnn_params, dense_params, digits_case, text_params, with_arguments

DRAWN = ("noise", "probes", "class_probes")  # (K, B, ...)
WORKLOADS: dict[str, Callable[[], Case]] = {}


def workload(build: Callable[[], Case]) -> Callable[[], Case]:
    """Register a problem under its function's name. Built on demand: the data may not be installed."""
    built = functools.cache(lambda: one_draw(build()))
    WORKLOADS[build.__name__.replace("_", "-")] = built
    return built


def one_draw(case: Case) -> Case:
    """The case with what the timed methods take, one draw of each: more would be copied and paid for at every step."""
    extra = {name: case.extra[name][:1] for name in DRAWN}
    return replace(case, directions=None, extra=extra | {"start": case.extra["start"]})


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
