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

    return Call(
        "lipschitz_bound",
        words,
        case,
        lambda m, p: m.lipschitz_bound(*matrices(p), **options),
        (pull,),
        held=tuple(f"u {name}" for name in UNITS[case]),
    )


UNITS = {"call-vectors": ("0.weight", "1.weight"), "call-words": ("conv3.weight", "conv5.weight", "output.weight")}


def of_a_kernel(case: str) -> Call:
    """Of an array of four or five axes, as images and volumes have kernels: the batch, and as many numbers to start."""

    def call(m: Any, p: Any) -> Any:
        return m.spectral_norm(p.x, p.extra.mix, steps=3)

    def pull(p: Any) -> Any:
        return lambda c: (call(pullbacks, p)[0](c), {})

    return Call("spectral_norm", "a kernel", case, call, (pull, FIXED), held=("mix",))


def bound_of_a_kernel(case: str) -> Call:
    """Of one layer alone, which is such a kernel."""

    def call(m: Any, p: Any) -> Any:
        return m.lipschitz_bound([p.x], [p.extra.mix], steps=3)

    def pull(p: Any) -> Any:
        return lambda c: (call(pullbacks, p)(c)[0], {})

    return Call("lipschitz_bound", "one layer, a kernel", case, call, (pull,), held=("mix",))


def from_nothing() -> Call:
    """From a start of 0 there is nothing to find."""
    call = lambda m, p: m.spectral_norm(p.params["0.weight"], 0 * getattr(p.extra, "u 0.weight"), steps=2)  # noqa: E731
    return Call("spectral_norm", "a start of 0", "call-vectors", call, (no_parameters, FIXED))


def from_a_start_of(size: float) -> Call:
    """From a start of another length, which is of no account."""
    name = "0.weight"

    def found(m: Any, p: Any) -> Any:
        return m.spectral_norm(p.params[name], size * getattr(p.extra, f"u {name}"), steps=2)

    pull = lambda p: lambda c: (None, {name: found(pullbacks, p)[0](c)})  # noqa: E731
    return Call("spectral_norm", f"a start times {size:g}", "call-vectors", found, (pull, FIXED), held=(f"u {name}",))


def no_parameters(p: Any) -> Any:
    """Of what depends on no parameter."""
    return lambda c: (None, {})


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
    for case in ("call-images", "call-volumes"):
        yield of_a_kernel(case)
        yield bound_of_a_kernel(case)
    yield from_nothing()
    for size in SIZES:
        yield from_a_start_of(size)
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
