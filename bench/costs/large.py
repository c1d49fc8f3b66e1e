"""Workloads that are too large for the oracle: checked on fewer tokens, and on a sample of the gradient's entries.

The parameters stay as they are, so that the step runs the same operations on matrices of the same sizes.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bench.costs.workloads import holds_draws, of_parameters
from equivalence import oracle
from equivalence.cases import Case
from equivalence.oracle.layers import Pulled
from equivalence.reference import Reference

LARGE = 4e9  # products of a parameter and a token: the oracle needs about a minute for a tenth of it
OF_TOKENS = ("noise", "probes", "masks", "vector", "start", "padding")  # arguments with an axis of tokens
BATCH, LENGTH = 2, 8  # two samples: a norm of the batch must not pass for one of each
ENTRIES = 4096  # of a parameter's gradient: a circle's points hold one gradient each


def checked(case: Case) -> Case:
    """The case that a step is checked on: the case itself, or a small part of a large one."""
    if case.tokens is None or case.tokens.size <= BATCH * LENGTH:
        return case
    products = case.tokens.size * sum(value.size for name, value in case.params.items() if name != case.table)
    return part(case) if products > LARGE else case


def part(case: Case) -> Case:
    """A few tokens of a few samples, the last with padding, and of the table only their rows."""
    assert case.tokens is not None and case.mask is not None
    known, numbers = np.unique(case.tokens[:BATCH, :LENGTH], return_inverse=True)
    mask = case.mask[:BATCH, :LENGTH].copy()
    mask[-1, LENGTH // 2 :] = 0
    table = str(case.table)
    return replace(
        case,
        params=case.params | {table: case.params[table][known]},
        labels=case.labels[:BATCH],
        tokens=numbers.reshape(mask.shape).astype(np.int32),
        mask=mask,
        extra={name: cut(name, array) for name, array in case.extra.items()},
    )


def cut(name: str, array: np.ndarray) -> np.ndarray:
    """An argument of the methods, (B, ...) or (K, B, ...), some with tokens next, for the part."""
    if of_parameters(name):
        return array
    samples = (slice(None), slice(BATCH)) if holds_draws(name) else (slice(BATCH),)
    return array[(*samples, slice(LENGTH))] if name in OF_TOKENS else array[samples]


@functools.cache
def chosen(size: int) -> np.ndarray:
    """Places in a flat array: all of a small one, of others a fixed random choice that follows no rows or columns."""
    return np.sort(np.random.default_rng(0).choice(size, min(size, ENTRIES), replace=False))


def sampled(tree: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Take the chosen entries of each array."""
    return {name: np.ravel(array)[chosen(array.size)] for name, array in tree.items()}


class SampledModel:
    """A model whose gradient has the chosen entries alone."""

    def __init__(self, model: Any):
        self.model = model

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.model(x)

    def vjp(self, x: np.ndarray, cotangent: np.ndarray) -> Pulled:
        x_bar, params_bar = self.model.vjp(x, cotangent)
        return x_bar, sampled(params_bar)


class SampledReference(Reference):
    """The oracle's closures of a case behind an embedding, with the chosen entries of gradients."""

    def __init__(self, case: Case, wrap: Callable[[oracle.Model], Any] = lambda model: model):
        super().__init__(case, lambda model: SampledModel(wrap(model)))

    def behind(self, x_bar: np.ndarray) -> dict[str, np.ndarray]:
        return sampled(super().behind(x_bar))
