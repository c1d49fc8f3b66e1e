"""Calls about embeddings: tokens that repeat and that never occur, padding, scopes, components that do not vary."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from equivalence.calls.call import Call
from equivalence.calls.closures import scaled
from equivalence.oracle import pullbacks

FAR = 1000.0  # from 0: a mean of squares less a squared mean loses six digits there
NORMS = ("l2", "linf", "l1", "raw")


def table(words: str, **options: Any) -> Call:
    options = {"radius": 0.5} | options
    call = lambda m, p: m.perturb_table(p.of_table, p.table, **options)  # noqa: E731
    return Call("perturb_table", words, "call-words", call)


def output(words: str, case: str, **options: Any) -> Call:
    options = {"radius": 0.5} | options
    call = lambda m, p: m.perturb_output(p.loss, p.x, p.extra.padding, **options)  # noqa: E731
    return Call("perturb_output", words, case, call)


def normalized(words: str, offset: float = 0.0) -> Call:
    def call(m: Any, p: Any) -> Any:
        return m.normalize_embedding(p.table + offset, p.extra.frequencies)

    def pull(p: Any) -> Any:
        pullback = pullbacks.normalize_embedding(p.table + offset, p.extra.frequencies)
        return lambda c: (np.zeros_like(p.x), {p.case.table: pullback(c)})

    return Call("normalize_embedding", words, "call-words", call, (pull,))


def calls() -> Iterator[Call]:
    for norm in NORMS:
        yield table(norm, norm=norm)
        for scope in ("sample", "tensor"):
            yield output(f"{norm}, {scope}", "call-words", norm=norm, scope=scope)
        yield output(norm, "call-matrices", norm=norm)
        for scope in ("sample", "tensor"):
            yield scaled(output(f"{norm}, {scope}", "call-matrices", norm=norm, scope=scope), 0.0)  # nowhere to go
    yield table("radius 0", radius=0.0)
    yield Call(
        "perturb_table",
        "a loss with sparse gradients",
        "call-words",
        lambda m, p: m.perturb_table(p.of_sparse_table, p.table, radius=0.5),
    )
    yield output("radius 0", "call-words", radius=0.0)
    yield normalized("frequencies")
    yield normalized("a table far from 0", FAR)
    yield Call(
        "normalize_embedding",
        "a component that does not vary",
        "call-words",
        lambda m, p: m.normalize_embedding(0 * p.table + 3, p.extra.frequencies),
        (lambda p: lambda c: (np.zeros_like(p.x), {}),),
    )


CALLS = tuple(calls())
