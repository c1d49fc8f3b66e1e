"""Calls of second derivatives: every way, probes, what comes back beside them, no step to fifty, spectra with zeros."""

from collections.abc import Iterator
from typing import Any

from equivalence.calls.call import FIXED, Call, joined
from equivalence.calls.closures import (
    SHAPES,
    SIZES,
    FirstOutput,
    Linear,
    after_a_change,
    around_another,
    holding,
    scaled,
)
from equivalence.calls.penalty import held_pull, loss_pull
from equivalence.oracle import pullbacks, values
from equivalence.parts.composed import each, summed

HOWS = ("hvp", "forward")


def product(words: str, case: str, exact: bool = False) -> Call:
    def pull(p: Any) -> Any:
        return pullbacks.hvp(p.loss, p.x, p.extra.vector)

    return Call("hvp", words, case, lambda m, p: m.hvp(p.loss, p.x, p.extra.vector), (pull,), ("vector",), exact=exact)


def product_calls() -> Iterator[Call]:
    for case in SHAPES:
        yield product("", case)
    yield product("integers", "call-ties", exact=True)
    yield product("a flat loss", "call-flat", exact=True)
    yield Call(
        "hvp",
        "a loss that holds x",
        "call-vectors",
        lambda m, p: m.hvp(holding(p, p.x), p.x, p.extra.vector),
        (lambda p: held_pull(p, pullbacks.hvp(holding(p, p.x), p.x, p.extra.vector)),),
    )
    yield Call(
        "hvp",
        "a loss that holds the vector",
        "call-vectors",
        lambda m, p: m.hvp(holding(p, p.extra.vector), p.x, p.extra.vector),
        (lambda p: pullbacks.hvp(holding(p, p.extra.vector), p.x, p.extra.vector),),
    )
    for size in SIZES:
        yield of_vectors(size)
    yield Call("hvp", "along x itself", "call-many", lambda m, p: m.hvp(p.loss, p.x, p.x), (along_x,))
    yield Call(
        "top_eigenpair",
        "a start that is x",
        "call-many",
        lambda m, p: m.top_eigenpair(p.loss, p.x, p.x, steps=2)[0],
        (lambda p: pullbacks.top_eigenpair(p.loss, p.x, p.x, steps=2)[0],),
    )
    yield after_a_change("hvp", lambda m, p, loss: m.hvp(loss, p.x, p.extra.start), fixed=False)
    yield around_another(product("", "call-vectors"), lambda m, p: m.hvp(FirstOutput(p.f), p.x[:2], p.extra.vector[:2]))


def along_x(p: Any) -> Any:
    """The pullback of Hx where x is the vector, too: H is symmetric."""

    def pullback(c: Any) -> Any:
        x_bar, params_bar = pullbacks.hvp(p.loss, p.x, p.x)(c)[:2]
        return x_bar + values.hvp(p.loss, p.x, c), params_bar

    return pullback


def of_vectors(size: float) -> Call:
    """Along vectors far shorter or longer than x: a difference with a fixed step is wrong by that."""

    def call(m: Any, p: Any) -> Any:
        return m.hvp(p.loss, p.x, size * p.extra.vector)

    return Call("hvp", f"vectors times {size:g}", "call-vectors", call, (lambda p: call(pullbacks, p),))


def laplacian(words: str, case: str, how: str, with_loss: bool = False, probed: bool = False) -> Call:
    def options(p: Any) -> dict[str, Any]:
        return {"how": how} | ({"probes": p.extra.probes} if probed else {})

    def pull(p: Any) -> Any:
        return pullbacks.laplacian(p.loss, p.x, **options(p))

    more = {"with_loss": True} if with_loss else {}
    named = [how, words] + ["probes"] * probed + ["with the loss"] * with_loss
    return Call(
        "laplacian",
        joined(named),
        case,
        lambda m, p: m.laplacian(p.loss, p.x, **options(p), **more),
        (pull, loss_pull) if with_loss else (pull,),
        ("probes",) * probed,
    )


def laplacian_calls() -> Iterator[Call]:
    for how in HOWS:
        yield laplacian("", "call-vectors", how)
        yield laplacian("", "call-many", how, with_loss=True)
        yield laplacian("", "call-numbers", how)
        yield laplacian("", "call-one", how, with_loss=True, probed=True)
        yield laplacian("", "call-matrices", how, probed=True)
        yield laplacian("11", "call-draws", how, probed=True)
        yield laplacian_of_a_loss_that_holds_x(how)
        yield laplacian("a flat loss", "call-flat", how, with_loss=True)
        yield one_probe(how)
    yield scaled(laplacian("", "call-vectors", "hvp"), SIZES[0])
    yield laplacian("", "call-images", "hvp", with_loss=True)
    yield after_a_change("laplacian", lambda m, p, loss: m.laplacian(loss, p.x), fixed=False)
    yield laplacian("", "call-volumes", "hvp", probed=True)
    yield laplacian("", "call-wide", "hvp")


def laplacian_of_a_loss_that_holds_x(how: str) -> Call:
    return Call(
        "laplacian",
        f"{how}, a loss that holds x",
        "call-many",
        lambda m, p: m.laplacian(holding(p, p.x), p.x, how=how),
        (lambda p: held_pull(p, pullbacks.laplacian(holding(p, p.x), p.x, how=how)),),
    )


def one_probe(how: str) -> Call:
    """With a single probe, whose axis stays one."""

    def call(m: Any, p: Any) -> Any:
        return m.laplacian(p.loss, p.x, how=how, probes=p.extra.probes[:1])

    return Call("laplacian", f"{how}, one probe", "call-many", call, (lambda p: call(pullbacks, p),), ("probes",))


def eigenpair(words: str, case: str, exact: bool = False, **options: Any) -> Call:
    def pull(p: Any) -> Any:
        return pullbacks.top_eigenpair(p.loss, p.x, p.extra.start, **options)[0]

    def call(m: Any, p: Any) -> Any:
        value, vector = m.top_eigenpair(p.loss, p.x, p.extra.start, **options)
        return value, vector * each(summed(vector), vector)  # the same for both signs of the vector, which are right

    return Call(
        "top_eigenpair",
        words,
        case,
        call,
        (pull, FIXED),
        held=("start",),
        exact=exact,
    )


def eigenvalue(m: Any, p: Any, loss: Any) -> Any:
    """The eigenvalue alone, or its pullback."""
    return m.top_eigenpair(loss, p.x, p.extra.start, steps=2)[0]


def from_short_start(size: float) -> Call:
    """No step, from a start of another length: it is of no account."""
    return Call(
        "top_eigenpair",
        f"power, 0 steps, a start times {size:g}",
        "call-slow",
        lambda m, p: m.top_eigenpair(p.loss, p.x, size * p.extra.start, steps=0),
        (lambda p: pullbacks.top_eigenpair(p.loss, p.x, size * p.extra.start, steps=0)[0], FIXED),
        held=("start",),
    )


def of_a_linear_loss() -> Iterator[Call]:
    """Its second derivative is 0, and a framework may not know that there is one at all."""

    def linear(p: Any) -> Any:
        return Linear(p.extra.vector)

    for method, call in {
        "hvp": lambda m, p: m.hvp(linear(p), p.x, p.extra.start),
        "laplacian": lambda m, p: m.laplacian(linear(p), p.x),
        "top_eigenpair": lambda m, p: m.top_eigenpair(linear(p), p.x, p.extra.start, steps=1),
    }.items():
        pulls = (FIXED, FIXED) if method == "top_eigenpair" else (FIXED,)
        yield Call(method, "a linear loss", "call-vectors", call, pulls)


def eigenpair_calls() -> Iterator[Call]:
    for steps in (0, 3, 50):
        yield eigenpair(f"power, {steps} steps", "call-slow", steps=steps)
    for steps in (0, 1, 3, 9):  # nine are three more than there are dimensions
        yield eigenpair(f"lanczos, {steps} steps", "call-slow", steps=steps, how="lanczos")
    for how in ("power", "lanczos"):
        yield eigenpair(how, "call-images", steps=2, how=how)
        yield eigenpair(how, "call-matrices", steps=1, how=how)
    yield eigenpair("power, 12 steps", "call-vectors", steps=12)  # by then one sample has long been settled
    yield eigenpair("lanczos", "call-vectors", steps=2, how="lanczos")
    for case in ("call-one", "call-many", "call-volumes"):
        yield eigenpair("power", case, steps=3)
        yield eigenpair("lanczos", case, steps=1, how="lanczos")
    yield eigenpair("power", "call-numbers", steps=2)  # the sign of a number is all that there is to find
    yield after_a_change("top_eigenpair", eigenvalue, fixed=False)
    yield eigenpair("power, a flat loss", "call-flat", exact=True, steps=2)
    for size, steps in zip(SIZES, (40, 3), strict=True):  # no number holds forty products without a norm between
        yield scaled(eigenpair("power", "call-slow", steps=steps), size)
    yield from_short_start(SIZES[0])
    yield from of_a_linear_loss()


CALLS = (*product_calls(), *laplacian_calls(), *eigenpair_calls())
