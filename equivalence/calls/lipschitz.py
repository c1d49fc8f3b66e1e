"""Calls of spectral norms: matrices and kernels, one step to fifty, starts of any length, zero weights."""

from collections.abc import Iterator
from typing import Any

from equivalence.calls.call import FIXED, Call
from equivalence.calls.closures import SIZES
from equivalence.oracle import pullbacks
from equivalence.usages import matrices


def spectral(words: str, case: str, name: str, size: float = 1.0, **options: Any) -> Call:
    def arrays(p: Any) -> tuple[Any, Any]:
        return size * p.params[name], getattr(p.extra, f"u {name}")

    def pull(p: Any) -> Any:
        pullback = pullbacks.spectral_norm(*arrays(p), **options)[0]
        return lambda c: (None, {name: size * pullback(c)})

    return Call(
        "spectral_norm",
        words,
        case,
        lambda m, p: m.spectral_norm(*arrays(p), **options),
        (pull, FIXED),
        held=(f"u {name}",),
    )


def bound(words: str, case: str, **options: Any) -> Call:
    def pull(p: Any) -> Any:
        pullback = pullbacks.lipschitz_bound(*matrices(p), **options)
        return lambda c: (None, dict(zip(p.numbered("u"), pullback(c), strict=True)))

    return Call("lipschitz_bound", words, case, lambda m, p: m.lipschitz_bound(*matrices(p), **options), (pull,))


def calls() -> Iterator[Call]:
    for steps in (1, 2, 5, 50):
        yield spectral(f"{steps} steps", "call-vectors", "0.weight", steps=steps)
    for steps in (1, 12):
        yield bound(f"{steps} steps", "call-vectors", steps=steps)
    yield bound("kernels, 2 steps", "call-words", steps=2)
    for size, steps in zip(SIZES, (20, 3), strict=True):  # of twenty products without a norm between no number is left
        yield spectral(f"weights times {size:g}", "call-vectors", "0.weight", size, steps=steps)
    yield Call(
        "lipschitz_bound",
        "a layer of 0",
        "call-vectors",
        lambda m, p: m.lipschitz_bound([0 * matrices(p)[0][0], *matrices(p)[0][1:]], matrices(p)[1]),
        (lambda p: lambda c: (None, {}),),
    )
    yield spectral("by default", "call-vectors", "1.weight")
    yield bound("by default", "call-vectors")
    yield spectral("a kernel, 3 steps", "call-words", "conv3.weight", steps=3)
    yield Call(
        "spectral_norm",
        "a weight of 0",
        "call-vectors",
        lambda m, p: m.spectral_norm(0 * p.params["0.weight"], getattr(p.extra, "u 0.weight"), steps=2),
        (lambda p: lambda c: (None, {}), FIXED),
    )


CALLS = tuple(calls())
