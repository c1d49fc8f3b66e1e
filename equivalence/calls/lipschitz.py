"""Calls of spectral norms: matrices and kernels, one step to fifty, starts of any length, zero weights."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from equivalence.calls.call import FIXED, Call
from equivalence.calls.closures import SETTINGS
from equivalence.oracle import pullbacks
from equivalence.usages import matrices


def spectral(words: str, case: str, name: str, setting: str = "", **options: Any) -> Call:
    def arrays(p: Any) -> tuple[Any, Any]:
        return p.params[name], getattr(p.extra, f"u {name}")

    def pull(p: Any) -> Any:
        pullback = pullbacks.spectral_norm(*arrays(p), **options)[0]
        return lambda c: (None, {name: pullback(c)})

    return Call("spectral_norm", words, case, lambda m, p: m.spectral_norm(*arrays(p), **options), (pull, FIXED), setting=setting)


def bound(words: str, case: str, setting: str = "", **options: Any) -> Call:
    def pull(p: Any) -> Any:
        pullback = pullbacks.lipschitz_bound(*matrices(p), **options)
        return lambda c: (None, dict(zip(p.drawn("u"), pullback(c), strict=True)))

    return Call("lipschitz_bound", words, case, lambda m, p: m.lipschitz_bound(*matrices(p), **options), (pull,), setting=setting)


def calls() -> Iterator[Call]:
    for steps in (1, 2, 5, 50):
        yield spectral(f"{steps} steps", "call-vectors", "0.weight", steps=steps)
        yield spectral(f"a kernel, {steps} steps", "call-words", "conv3.weight", steps=steps)
        yield bound(f"{steps} steps", "call-vectors", steps=steps)
        yield bound(f"kernels, {steps} steps", "call-words", steps=steps)
    yield spectral("by default", "call-vectors", "1.weight")
    yield bound("by default", "call-vectors")
    for setting in SETTINGS:
        yield spectral("3 steps", "call-vectors", "0.weight", setting, steps=3)
        yield spectral("a kernel, 3 steps", "call-words", "conv3.weight", setting, steps=3)
        yield bound("kernels, 2 steps", "call-words", setting, steps=2)
    yield Call(
        "spectral_norm",
        "a weight of 0",
        "call-vectors",
        lambda m, p: m.spectral_norm(0 * p.params["0.weight"], getattr(p.extra, "u 0.weight"), steps=2),
        (lambda p: lambda c: (None, {}), FIXED),
    )


CALLS = tuple(calls())
