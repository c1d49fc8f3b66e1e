"""Closures that calls pass: a model at hand, with something that a careless function would trip over."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from equivalence.calls.call import FIXED, Call, joined
from equivalence.problem import Point

SHAPES = (
    "call-vectors",
    "call-many",
    "call-matrices",
    "call-images",
    "call-volumes",
    "call-numbers",
    "call-one",
    "call-wide",
)


OTHER = 0.8  # times f: outputs of another pass, as a model with dropout gives at the same x
SIZES = (1e-9, 1e7)  # of a loss, beside its own
SATURATED = 3000.0  # times these outputs, every probability but one is 0 in float64


class Holding:
    """x -> closure(x · held), where `held` may be the very array that is passed as x."""

    def __init__(self, closure: Any, held: Any):
        self.closure, self.held = closure, held

    def __call__(self, x: Any) -> Any:
        return self.closure(x * self.held)

    def vjp(self, x: Any, cotangent: Any) -> Any:
        x_bar, params_bar = self.closure.vjp(x * self.held, cotangent)
        return self.held * x_bar, params_bar

    def grad(self, x: Any) -> Any:
        return self.held * self.closure.grad(x * self.held)


def holding(p: Point, held: Any) -> Any:
    """The point's loss, with an array that it holds."""
    return Holding(p.loss, held)


class Times:
    """x -> factor · closure(x): gradients far from 1, or outputs so far apart that all but one probability is 0."""

    def __init__(self, closure: Any, factor: float):
        self.closure, self.factor = closure, factor

    def __call__(self, x: Any) -> Any:
        return self.factor * self.closure(x)

    def vjp(self, x: Any, cotangent: Any) -> Any:
        return self.closure.vjp(x, self.factor * cotangent)

    def grad(self, x: Any) -> Any:
        return self.factor * self.closure.grad(x)


class FirstOutput:
    """x -> f(x)₀: a loss for a batch of any size, since it asks no labels."""

    def __init__(self, f: Any):
        self.f = f

    def __call__(self, x: Any) -> Any:
        return self.f(x)[:, 0]

    def vjp(self, x: Any, cotangent: Any) -> Any:
        return self.f.vjp(x, cotangent[:, None] * np.eye(1, self.f(x).shape[1]))

    def grad(self, x: Any) -> Any:
        return self.vjp(x, np.ones(len(x)))[0]


def scaled(call: Call, size: float) -> Call:
    """The call, with the point's loss so many times as large."""

    def at(p: Point) -> Point:
        return replace(p, loss=Times(p.loss, size))

    def pulled(pull: Any) -> Any:
        return lambda p: pull(at(p))

    pulls = tuple(pull if pull is FIXED else pulled(pull) for pull in call.pulls)
    words = joined([call.words, f"a loss times {size:g}"])
    return replace(call, words=words, call=lambda m, p: call.call(m, at(p)), pulls=pulls)


def around_another(call: Call, first: Callable[[Any, Point], Any]) -> Call:
    """The call, after one with a batch of another size: nothing that was kept from the first may be used again."""

    def both(m: Any, p: Point) -> Any:
        first(m, p)
        return call.call(m, p)

    return replace(call, words=joined([call.words, "after a batch of another size"]), call=both)
