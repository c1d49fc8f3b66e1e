"""Closures that calls pass: a model at hand, with something that a careless function would trip over."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from equivalence.calls.call import FIXED, Call, joined
from equivalence.oracle import pullbacks
from equivalence.parts.composed import each, summed
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
RADIUS = 0.3  # no number of float32: what goes through one is off by 4e-8
SATURATED = 3000.0  # times these outputs, every probability but one is 0 in float64


class Holding:
    """x -> closure(x · held + held), where `held` may be the very array that is passed as x.

    Whoever differentiates what is held, too, gets another gradient then, and not just one twice as long.
    """

    def __init__(self, closure: Any, held: Any):
        self.closure, self.held = closure, held

    def __call__(self, x: Any) -> Any:
        return self.closure(x * self.held + self.held)

    def vjp(self, x: Any, cotangent: Any) -> Any:
        x_bar, params_bar = self.closure.vjp(x * self.held + self.held, cotangent)
        return self.held * x_bar, params_bar

    def grad(self, x: Any) -> Any:
        return self.held * self.closure.grad(x * self.held + self.held)


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


class Doubling:
    """x -> 2 to the closure(x): its last operation keeps its result for the gradient, as it was before any +=."""

    def __init__(self, closure: Any):
        self.closure = closure

    def __call__(self, x: Any) -> Any:
        return 2.0 ** self.closure(x)

    def vjp(self, x: Any, cotangent: Any) -> Any:
        return self.closure.vjp(x, np.log(2) * self(x) * cotangent)

    def grad(self, x: Any) -> Any:
        return self.vjp(x, np.ones(len(x)))[0]


class Apart:
    """x -> closure(x) + 1/‖x - held‖²: where it is infinite nobody may ask it."""

    def __init__(self, closure: Any, held: Any):
        self.closure, self.held = closure, held

    def __call__(self, x: Any) -> Any:
        return self.closure(x) + 1 / summed((x - self.held) * (x - self.held))

    def vjp(self, x: Any, cotangent: Any) -> Any:
        x_bar, params_bar = self.closure.vjp(x, cotangent)
        apart = x - self.held
        return x_bar - 2 * each(cotangent / summed(apart * apart) ** 2, apart) * apart, params_bar


class Linear:
    """x -> Σ x·held: a loss without second derivatives."""

    def __init__(self, held: Any):
        self.held = held

    def __call__(self, x: Any) -> Any:
        return summed(x * self.held)

    def vjp(self, x: Any, cotangent: Any) -> Any:
        return each(cotangent, self.held) * self.held, {}

    def grad(self, x: Any) -> Any:
        return self.held


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


def after_a_change(method: str, call: Callable[[Any, Point, Any], Any], of: str = "loss", fixed: bool = True) -> Call:
    """The call with a closure, after one with the same closure, which has since got another array to hold.

    So does the loss of a model whose parameters were trained in between.
    """

    def both(m: Any, p: Point) -> Any:
        closure = Holding(getattr(p, of), p.extra.masks[0])
        call(m, p, closure)
        closure.held = p.extra.vector
        return call(m, p, closure)

    def pull(p: Any) -> Any:
        pullback = call(pullbacks, p, Holding(getattr(p, of), p.extra.vector))
        return lambda c: (None, pullback(c)[1])

    return Call(method, f"a {of} that has changed", "call-vectors", both, (FIXED if fixed else pull,))


def around_another(call: Call, first: Callable[[Any, Point], Any]) -> Call:
    """The call, after one with a batch of another size: nothing that was kept from the first may be used again."""

    def both(m: Any, p: Point) -> Any:
        first(m, p)
        return call.call(m, p)

    return replace(call, words=joined([call.words, "after a batch of another size"]), call=both)
