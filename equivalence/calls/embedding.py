"""Calls about embeddings: tokens that repeat and that never occur, padding, scopes, components that do not vary."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from equivalence.calls.call import Call
from equivalence.calls.closures import RADIUS, SIZES, Times, scaled
from equivalence.oracle import pullbacks

NORMS = ("l2", "linf", "l1", "raw")


def table(words: str, **options: Any) -> Call:
    options = {"radius": RADIUS} | options
    call = lambda m, p: m.perturb_table(p.of_table, p.table, **options)  # noqa: E731
    return Call("perturb_table", words, "call-words", call)


def output(words: str, case: str, **options: Any) -> Call:
    options = {"radius": RADIUS} | options
    call = lambda m, p: m.perturb_output(p.loss, p.x, p.extra.padding, **options)  # noqa: E731
    return Call("perturb_output", words, case, call)


def sparse(norm: str) -> Call:
    """Of a loss whose gradient is sparse: a token that repeats has several slices."""
    call = lambda m, p: m.perturb_table(p.of_sparse_table, p.table, radius=0.5, norm=norm)  # noqa: E731
    return Call("perturb_table", f"{norm}, a loss with sparse gradients", "call-words", call)


def of_a_table_times(size: float, norm: str) -> Call:
    """Of a loss so many times as large."""

    def call(m: Any, p: Any) -> Any:
        return m.perturb_table(Times(p.of_table, size), p.table, radius=RADIUS, norm=norm)

    return Call("perturb_table", f"{norm}, a loss times {size:g}", "call-words", call)


def normalized(case: str) -> Call:
    def call(m: Any, p: Any) -> Any:
        return m.normalize_embedding(p.table, p.extra.frequencies)

    def pull(p: Any) -> Any:
        pullback = pullbacks.normalize_embedding(p.table, p.extra.frequencies)
        return lambda c: (np.zeros_like(p.x), {p.case.table: pullback(c)})

    return Call("normalize_embedding", "", case, call, (pull,))


def elsewhere(norm: str, scope: str) -> Call:
    """Tokens where padding was, and padding before them."""

    def call(m: Any, p: Any) -> Any:
        return m.perturb_output(p.loss, p.x, 1 - p.extra.padding, radius=RADIUS, norm=norm, scope=scope)

    return Call("perturb_output", f"{norm}, {scope}, padding first", "call-matrices", call)


def calls() -> Iterator[Call]:
    for norm in NORMS:
        yield table(norm, norm=norm)
        for scope in ("sample", "tensor"):
            yield output(f"{norm}, {scope}", "call-words", norm=norm, scope=scope)
        yield output(norm, "call-matrices", norm=norm)
        for scope in ("sample", "tensor"):
            yield scaled(output(f"{norm}, {scope}", "call-matrices", norm=norm, scope=scope), 0.0)  # nowhere to go
    yield table("radius 0", radius=0.0)
    for norm in NORMS:
        yield sparse(norm)
        yield of_a_table_times(0.0, norm)
    for size in SIZES:
        yield of_a_table_times(size, "l2")
    yield output("radius 0", "call-words", radius=0.0)
    for case in ("call-words", "call-far"):
        yield normalized(case)
    for norm, scope in (("l2", "sample"), ("l2", "tensor"), ("l1", "tensor")):
        yield elsewhere(norm, scope)
    yield Call(
        "normalize_embedding",
        "a component that does not vary",
        "call-words",
        lambda m, p: m.normalize_embedding(0 * p.table + p.table[2:3], p.extra.frequencies**3),  # means are rounded
        (lambda p: lambda c: (np.zeros_like(p.x), {}),),
    )


CALLS = tuple(calls())
