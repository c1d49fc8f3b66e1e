"""Calls of what concerns the parameters: rates, levels on both sides and at the loss, one draw and several."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from equivalence.calls.call import Call
from equivalence.calls.closures import Times
from equivalence.oracle import pullbacks

CASES = ("call-vectors", "call-one", "call-words")


def penalty(words: str, case: str, rate: float) -> Call:
    def pull(p: Any) -> Any:
        pullback = pullbacks.parameter_gradient_penalty(p.of_params, p.params, rate=rate)
        return lambda c: (None, pullback(c))

    call = lambda m, p: m.parameter_gradient_penalty(p.of_params, p.params, rate=rate)  # noqa: E731
    return Call("parameter_gradient_penalty", words, case, call, (pull,))


def flooded(words: str, case: str, level: float) -> Call:
    def pull(p: Any) -> Any:
        return lambda c: p.loss.vjp(p.x, pullbacks.flooding(p.loss(p.x), level=level)(c))

    return Call("flooding", words, case, lambda m, p: m.flooding(p.loss(p.x), level=level), (pull,))


def noisy(words: str, case: str, draws: int = 2, backwards: bool = False) -> Call:
    def noise(p: Any) -> Any:
        found = p.numbered("noise")
        return {name: found[name][:draws] for name in sorted(found, reverse=backwards)}

    def pull(p: Any) -> Any:
        pullback = pullbacks.weight_noise(p.of_params, p.params, noise(p))
        return lambda c: (None, pullback(c))

    call = lambda m, p: m.weight_noise(p.of_params, p.params, noise(p))  # noqa: E731
    return Call("weight_noise", words, case, call, (pull,))


def calls() -> Iterator[Call]:
    for case in CASES:
        yield penalty("", case, 0.3)
        yield flooded("", case, 1.0)
        yield noisy("", case)
    yield penalty("rate 0", "call-vectors", 0.0)
    yield penalty("a flat loss", "call-flat", 0.5)
    yield Call(
        "parameter_gradient_penalty",
        "parameters without gradient",
        "call-vectors",
        lambda m, p: m.parameter_gradient_penalty(Times(p.of_params, 0.0), p.params, rate=0.3),
        (lambda p: lambda c: (None, {}),),
    )
    yield Call(
        "flooding",
        "one number without axes",
        "call-matrices",
        lambda m, p: m.flooding(p.extra.mix[2], level=0.3),
        (lambda p: lambda c: (None, {}),),
        ("mix",),
    )
    for level in (-1.0, 0.0, 0.3, 100.0):
        yield flooded(f"level {level}", "call-vectors", level)
    yield Call(
        "flooding",
        "numbers of both signs, of three axes",
        "call-matrices",
        lambda m, p: m.flooding(p.x, level=-0.5),
        (lambda p: lambda c: (pullbacks.flooding(p.x, level=-0.5)(c), {}),),
    )
    yield noisy("one draw", "call-vectors", draws=1)
    yield noisy("11 draws", "call-draws", draws=11)
    yield noisy("names backwards", "call-vectors", backwards=True)  # which say what belongs together, not places
    yield Call(
        "flooding",
        "a loss at the level, one number",
        "call-flat",
        lambda m, p: m.flooding(p.loss(p.x), level=0.0),
        (lambda p: lambda c: (np.zeros_like(p.x), {}),),
        exact=True,
    )


CALLS = tuple(calls())
