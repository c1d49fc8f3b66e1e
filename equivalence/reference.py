"""A case for the oracle: the same closures in NumPy, with hand-derived gradients, and totals over an embedding."""

import functools
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from equivalence import oracle
from equivalence.cases import Case, build
from equivalence.measure import HALF
from equivalence.problem import Point, flat


class OfTable:
    """A loss of all parameters as a function of one of them."""

    def __init__(self, of_params: oracle.OfParams, params: dict[str, np.ndarray], name: str):
        self.of_params, self.params, self.name = of_params, params, name

    def at(self, table: np.ndarray) -> dict[str, np.ndarray]:
        return self.params | {self.name: table}

    def __call__(self, table: np.ndarray) -> np.ndarray:
        return self.of_params(self.at(table))

    def vjp(self, table: np.ndarray, cotangent: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return self.of_params.vjp(self.at(table), cotangent)[self.name], {}


class Reference:
    """The oracle's counterpart of `Problem`; always float64."""

    def __init__(self, case: Case, wrap: Callable[[oracle.Model], Any] = lambda model: model):
        self.case = case
        x = case.x if case.tokens is None else oracle.embed(case.params[str(case.table)], case.tokens)
        model = wrap(oracle.Model(case.model, case.params, case.mask, **case.options))
        loss = oracle.Loss(model, case.loss, case.labels)
        extra = SimpleNamespace(**case.extra)
        table = str(case.table)
        data = (case.x, case.tokens, case.mask)
        of_params = oracle.OfParams(case.model, case.loss, case.labels, *data, table, wrap, **case.options)
        of_table = OfTable(of_params, case.params, table)
        self.point = Point(model, loss, x, case.labels, extra, case, case.params, of_params, of_table, of_table)

    def low_dimensional(self) -> Point:
        """The point in coordinates along the case's directions, where it has them."""
        point, directions = self.point, self.case.directions
        if directions is None:
            return point
        zeros = np.zeros((self.case.batch, len(directions)))
        move = (directions, point.x, None if self.case.tokens is None else self.behind)
        return replace(point, f=oracle.Coordinates(point.f, *move), loss=oracle.Coordinates(point.loss, *move), x=zeros)

    def total(self, pulled: tuple[Any, dict[str, Any]]) -> np.ndarray:
        """(x_bar, params_bar) as one gradient over all parameters by sorted name; behind an embedding, x's part too.

        Coordinates pass x's part on by themselves: what they pull back to are coordinates, which nothing lies behind.
        An x_bar of None says that params_bar is all there is.
        """
        x_bar, params_bar = pulled
        zeros = {name: np.zeros_like(value) for name, value in self.case.params.items() if name not in params_bar}
        gradient = zeros | dict(params_bar)
        if self.case.tokens is not None and x_bar is not None and x_bar.shape == self.point.x.shape:
            gradient |= self.behind(x_bar)
        return flat(gradient)

    def behind(self, x_bar: np.ndarray) -> dict[str, np.ndarray]:
        """The gradient of the embedding's table, given that of its output."""
        table, tokens = str(self.case.table), self.case.tokens
        assert tokens is not None
        return {table: oracle.embed_vjp(self.case.params[table], tokens, x_bar)}


@functools.cache
def known(name: str, dtype: str = "") -> Reference:
    """The reference of a registered case: what is expected of it is computed once a process.

    Its numbers are those of float32, which float64 has as well, or of a dtype of half precision.
    """
    case = build([name])[name]
    return Reference(case.rounded(dtype) if dtype in HALF else case)
