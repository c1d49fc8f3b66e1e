"""Calls of the attacks: every norm and scope, shapes, ties and zeros, one step to fifty, boxes."""

from collections.abc import Callable, Iterator
from typing import Any

from equivalence.calls.call import FIXED, Call
from equivalence.calls.closures import (
    RADIUS,
    SHAPES,
    SIZES,
    Apart,
    Doubling,
    FirstOutput,
    after_a_change,
    around_another,
    holding,
    scaled,
)
from equivalence.calls.penalty import held_pull
from equivalence.oracle import pullbacks

NORMS = ("l2", "linf", "l1")
ASCENT: dict[str, Any] = {"radius": 0.5, "step": 0.2}


def fgm(words: str, case: str, exact: bool = False, **options: Any) -> Call:
    options = {"radius": RADIUS} | options
    return Call("fgm", words, case, lambda m, p: m.fgm(p.loss, p.x, **options), exact=exact)


def fgm_calls() -> Iterator[Call]:
    for norm in (*NORMS, "raw"):
        for case in SHAPES if norm == "l2" else ("call-vectors", "call-matrices", "call-images", "call-one"):
            yield fgm(norm, case, norm=norm)
        for case in ("call-ties", "call-flat"):
            yield fgm(norm, case, norm=norm, exact=True)
    for norm in ("l2", "l1"):
        for case in ("call-vectors", "call-images"):
            yield fgm(f"{norm}, one scope for the tensor", case, norm=norm, scope="tensor")
    yield fgm("l1, one scope for the tensor", "call-ties", norm="l1", scope="tensor", exact=True)
    yield fgm("l1", "call-near", norm="l1", exact=True)
    for norm in (*NORMS, "raw"):
        yield fgm(f"{norm}, one scope for the tensor", "call-flat", norm=norm, scope="tensor", exact=True)
        for size in SIZES:
            yield scaled(fgm(norm, "call-vectors", norm=norm), size)
    yield fgm("radius 0", "call-vectors", radius=0.0)
    yield Call(
        "fgm", "a loss that holds x", "call-vectors", lambda m, p: m.fgm(holding(p, p.x), p.x, radius=0.5), (FIXED,)
    )
    yield after_a_change("fgm", lambda m, p, loss: m.fgm(loss, p.x, radius=RADIUS))
    yield around_another(fgm("l2", "call-vectors"), lambda m, p: m.fgm(FirstOutput(p.f), p.x[:2], radius=0.5))


def pgd(words: str, case: str, exact: bool = False, **options: Any) -> Call:
    options = ASCENT | {"steps": 3} | options
    return Call("pgd", words, case, lambda m, p: m.pgd(p.loss, p.x, p.extra.start, **options), exact=exact)


def bounded(words: str, case: str, **options: Any) -> Call:
    options = ASCENT | {"steps": 3} | options
    return Call("pgd", words, case, lambda m, p: m.pgd(p.loss, p.x, p.extra.start, bounds=p.case.bounds, **options))


def on_one_side(words: str, sign: float, bounds: tuple[float, float]) -> Call:
    """The box ends at 0, which is false in Python and yet is an end."""

    def call(m: Any, p: Any) -> Any:
        return m.pgd(p.loss, sign * p.x * p.x, p.extra.start, bounds=bounds, steps=3, **ASCENT)

    return Call("pgd", words, "call-vectors", call)


def from_zero(norm: str) -> Call:
    """The loss is flat and the start is 0, so that there is nowhere to go."""
    call = lambda m, p: m.pgd(p.loss, p.x, 0 * p.extra.start, norm=norm, steps=2, **ASCENT)  # noqa: E731
    return Call("pgd", f"{norm}, from zero on a flat loss", "call-flat", call, exact=True)


def pgd_calls() -> Iterator[Call]:
    for norm, many in zip(NORMS, (50, 12, 12), strict=True):
        for steps in (1, many) if norm == "l2" else (many,):
            yield pgd(f"{norm}, {steps} steps", "call-vectors", norm=norm, steps=steps, radius=2.0, step=0.05)
        yield pgd(f"{norm}, 2 steps", "call-matrices", norm=norm, steps=2)
        yield bounded(f"{norm}, a box", "call-many", norm=norm, radius=1.5, step=0.4)
        yield from_zero(norm)
    for case in ("call-one", "call-images", "call-numbers", "call-volumes"):
        yield pgd("l2", case, steps=2)
    for norm in NORMS:
        yield pgd(f"{norm}, steps longer than the radius", "call-many", norm=norm, radius=0.3, step=0.5)
        yield bounded(f"{norm}, a box", "call-matrices", norm=norm, steps=2)
    yield bounded("l2, a box, 9 steps", "call-vectors", radius=1.5, step=0.2, steps=9)
    yield on_one_side("a box from 0 on", 1.0, (0.0, 100.0))
    yield on_one_side("a box up to 0", -1.0, (-100.0, 0.0))
    for size in SIZES:
        yield scaled(pgd("", "call-vectors"), size)
    yield pgd("l2", "call-wide")
    yield after_a_change("pgd", lambda m, p, loss: m.pgd(loss, p.x, p.extra.start, steps=2, **ASCENT))
    yield pgd("no step", "call-vectors", step=0.0)
    yield pgd("radius 0", "call-vectors", radius=0.0)
    yield Call(
        "pgd",
        "a loss that holds x",
        "call-vectors",
        lambda m, p: m.pgd(holding(p, p.x), p.x, p.extra.start, steps=3, **ASCENT),
    )


def mixed(words: str, case: str, weight: float | None) -> Call:
    options = {} if weight is None else {"clean_weight": weight}
    return Call(
        "adversarial_loss",
        words,
        case,
        lambda m, p: m.adversarial_loss(p.loss, p.x, p.extra.noise[0], **options),
        (lambda p: pullbacks.adversarial_loss(p.loss, p.x, p.extra.noise[0], **options),),
        ("noise",),
    )


def of_a_closure(words: str, closure: Callable[[Any], Any], weight: float) -> Call:
    """The mix of a loss made of the point's."""

    def call(m: Any, p: Any) -> Any:
        return m.adversarial_loss(closure(p), p.x, p.extra.noise[0], clean_weight=weight)

    def pull(p: Any) -> Any:
        return held_pull(p, pullbacks.adversarial_loss(closure(p), p.x, p.extra.noise[0], clean_weight=weight))

    return Call("adversarial_loss", words, "call-vectors", call, (pull,))


def mixed_calls() -> Iterator[Call]:
    for weight in (None, 0.0, 0.1, 1.0):
        yield mixed("by default" if weight is None else f"clean weight {weight}", "call-vectors", weight)
    for case in SHAPES:
        yield mixed("", case, 0.25)
    yield mixed("clean weight 0", "call-matrices", 0.0)
    yield of_a_closure("a loss that is infinite at x", lambda p: Apart(p.loss, p.x), 0.0)
    yield of_a_closure("a loss that ends in a power", lambda p: Doubling(p.loss), 0.25)


def freelb(words: str, case: str, exact: bool = False, **options: Any) -> Call:
    options = ASCENT | {"steps": 3} | options
    return Call(
        "freelb_loss",
        words,
        case,
        lambda m, p: m.freelb_loss(p.loss, p.x, p.extra.start, **options),
        (lambda p: pullbacks.freelb_loss(p.loss, p.x, p.extra.start, **options)[0], FIXED),
        held=("start",),
        exact=exact,
    )


def ascended(m: Any, p: Any, loss: Any) -> Any:
    """The mean loss alone, or its pullback."""
    return m.freelb_loss(loss, p.x, p.extra.start, steps=2, **ASCENT)[0]


def freelb_calls() -> Iterator[Call]:
    for norm, many in zip(NORMS, (12, 5, 5), strict=True):
        yield freelb(f"{norm}, {many} steps", "call-vectors", norm=norm, steps=many, radius=2.0, step=0.05)
        yield freelb(f"{norm}, 2 steps", "call-matrices", norm=norm, steps=2)
    for size in SIZES:
        yield scaled(freelb("", "call-vectors"), size)
    yield freelb("one step", "call-vectors", steps=1)
    for norm in NORMS:
        yield freelb(f"{norm}, a flat loss", "call-flat", norm=norm, exact=norm != "l1")
        yield freelb(f"{norm}, steps longer than the radius", "call-many", norm=norm, radius=0.3, step=0.5)
    yield freelb("radius 0", "call-vectors", radius=0.0)
    yield freelb("no step", "call-vectors", step=0.0)
    yield Call(
        "freelb_loss",
        "a loss that holds x",
        "call-vectors",
        lambda m, p: m.freelb_loss(holding(p, p.x), p.x, p.extra.start, steps=2, **ASCENT),
        (lambda p: held_pull(p, ascended(pullbacks, p, holding(p, p.x))), FIXED),
    )
    yield after_a_change("freelb_loss", ascended, fixed=False)
    for case in ("call-one", "call-images", "call-numbers", "call-volumes"):
        yield freelb("l2", case)


CALLS = (*fgm_calls(), *pgd_calls(), *mixed_calls(), *freelb_calls())
