"""A case for the oracle: the same closures in NumPy, with hand-derived gradients, and totals over an embedding."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from equivalence import oracle
from equivalence.cases import Case
from equivalence.problem import Point, flat


class Reference:
    """The oracle's counterpart of `Problem`; always float64."""

    def __init__(self, case: Case, wrap: Callable[[oracle.Model], oracle.Model] = lambda model: model):
        self.case = case
        x = oracle.embed(case.params, case.tokens) if case.tokens is not None else case.x
        model = wrap(oracle.Model(case.model, case.params, case.mask))
        loss = oracle.Loss(model, case.loss, case.labels)
        extra = SimpleNamespace(**case.extra)
        self.point = Point(model, loss, x, case.labels, extra)

    def low_dimensional(self) -> Point:
        """The point in coordinates along the case's directions, where it has them."""
        point, directions = self.point, self.case.directions
        if directions is None:
            return point
        zeros = np.zeros((self.case.batch, len(directions)))
        tokens = self.case.tokens
        behind = None if tokens is None else lambda x_bar: oracle.embed_vjp(self.case.params, tokens, x_bar)
        move = (directions, point.x, behind)
        return Point(
            oracle.Coordinates(point.f, *move), oracle.Coordinates(point.loss, *move), zeros, point.labels, point.extra
        )

    def total(self, pulled: tuple[Any, dict[str, Any]]) -> np.ndarray:
        """(x_bar, params_bar) as one gradient over all parameters by sorted name; behind an embedding, x's part too.

        Coordinates pass x's part on by themselves: what they pull back to are coordinates, which nothing lies behind.
        """
        x_bar, params_bar = pulled
        zeros = {name: np.zeros_like(value) for name, value in self.case.params.items()}
        gradient = zeros | dict(params_bar)
        if self.case.tokens is not None and x_bar.shape == self.point.x.shape:
            gradient |= oracle.embed_vjp(self.case.params, self.case.tokens, x_bar)
        return flat(gradient)
