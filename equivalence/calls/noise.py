"""Calls of training on noise: one draw and several, shapes, given outputs, class numbers and soft labels."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from equivalence.calls.call import Call, joined
from equivalence.calls.closures import OTHER, SHAPES, Doubling, FirstOutput, Times, around_another
from equivalence.oracle import pullbacks, values


def noisy(words: str, case: str, draws: int = 2) -> Call:
    def pull(p: Any) -> Any:
        return pullbacks.noisy_loss(p.loss, p.x, p.extra.noise[:draws])

    call = lambda m, p: m.noisy_loss(p.loss, p.x, p.extra.noise[:draws])  # noqa: E731
    return Call("noisy_loss", words, case, call, (pull,), ("noise",))


def masked(words: str, case: str, draws: int = 2) -> Call:
    def pull(p: Any) -> Any:
        return pullbacks.dropout_loss(p.loss, p.x, p.extra.masks[:draws])

    call = lambda m, p: m.dropout_loss(p.loss, p.x, p.extra.masks[:draws])  # noqa: E731
    return Call("dropout_loss", words, case, call, (pull,), ("masks",))


def consistent(words: str, case: str, divergence: str, given: bool = False, draws: int = 2) -> Call:
    def call(m: Any, p: Any) -> Any:
        more = {"outputs": p.f(p.x)} if given else {}
        return m.consistency_loss(getattr(m, divergence), p.f, p.x, p.extra.noise[:draws], **more)

    def pull(p: Any) -> Any:
        return pullbacks.consistency_loss(getattr(values, divergence), p.f, p.x, p.extra.noise[:draws])

    named = [divergence, words] + ["with outputs"] * given
    return Call("consistency_loss", joined(named), case, call, (pull,), ("noise",))


def consistent_with_another_pass(divergence: str) -> Call:
    """The given outputs are not those that f gives again."""

    def call(m: Any, p: Any) -> Any:
        other = Times(p.f, OTHER)
        return m.consistency_loss(getattr(m, divergence), p.f, p.x, p.extra.noise, outputs=other(p.x))

    def pull(p: Any) -> Any:
        other = Times(p.f, OTHER)
        return pullbacks.consistency_loss(getattr(values, divergence), p.f, p.x, p.extra.noise, outputs=other)

    return Call("consistency_loss", f"{divergence}, outputs of another pass", "call-vectors", call, (pull,), ("noise",))


def smoothed(words: str, case: str, labels: Any, smoothing: float) -> Call:
    """Labels carry no gradient into anything that is trained; the result has the dtype and the shape of `like`."""

    def nothing(p: Any) -> Any:
        return lambda c: (np.zeros_like(p.x), {})

    def call(m: Any, p: Any) -> Any:
        return m.smooth_labels(labels(p), smoothing=smoothing, like=p.f(p.x))

    return Call("smooth_labels", f"{words}, smoothing {smoothing}", case, call, (nothing,))


def of_a_power(method: str, draws: str) -> Call:
    """The loss's last operation keeps its result for the backward pass: nothing may be added to that in place."""

    def both(m: Any, p: Any) -> Any:
        return getattr(m, method)(Doubling(p.loss), p.x, getattr(p.extra, draws))

    return Call(method, "a loss that ends in a power", "call-vectors", both, (lambda p: both(pullbacks, p),))


def calls() -> Iterator[Call]:
    for case in SHAPES:
        yield noisy("", case)
        yield masked("", case)
        yield consistent("", case, "kl_divergence")
    yield consistent("", "call-vectors", "squared_error")
    yield consistent("one output", "call-ties", "squared_error")
    for kind in (noisy, masked):
        yield kind("one draw", "call-vectors", draws=1)
        yield kind("11 draws", "call-draws", draws=11)
    for divergence in ("kl_divergence", "squared_error"):
        yield consistent("", "call-vectors", divergence, given=True)
        for given in (False, True):
            yield consistent("one draw", "call-vectors", divergence, given=given, draws=1)
        yield consistent("", "call-matrices", divergence, given=True)
        yield consistent("11 draws", "call-draws", divergence, draws=11)
        yield consistent_with_another_pass(divergence)
    for smoothing in (0.0, 0.1, 1.0):
        for case in ("call-vectors", "call-one"):
            yield smoothed("class numbers", case, lambda p: p.labels, smoothing)
            yield smoothed("soft labels", case, lambda p: p.extra.soft_labels, smoothing)
    yield smoothed("class numbers", "call-matrices", lambda p: p.labels, 0.1)  # as many samples as classes
    yield smoothed("soft labels", "call-matrices", lambda p: p.extra.soft_labels, 0.1)
    for method, draws in (("noisy_loss", "noise"), ("dropout_loss", "masks")):
        yield of_a_power(method, draws)
    yield around_another(
        noisy("", "call-vectors"),
        lambda m, p: m.noisy_loss(FirstOutput(p.f), p.x[:2], p.extra.noise[:, :2]),
    )


CALLS = tuple(calls())
