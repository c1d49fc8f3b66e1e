"""Calls of virtual adversarial training: every way, one step to fifty, steps of the difference, logits, entropy."""

from collections.abc import Callable, Iterator
from typing import Any

from equivalence.calls.call import Call, joined
from equivalence.calls.closures import OTHER, RADIUS, SATURATED, SIZES, Times, after_a_change, around_another
from equivalence.calls.penalty import held_model, held_pull
from equivalence.oracle import pullbacks

HOWS = ("fisher", "finite_difference", "exact")
DIFFERENCE: dict[str, Any] = {"how": "finite_difference", "xi": 0.01}


def perturbation(words: str, case: str, **options: Any) -> Call:
    options = {"radius": RADIUS} | options
    return Call(
        "vat_perturbation",
        words,
        case,
        lambda m, p: m.vat_perturbation(p.f, p.x, p.extra.start, **options),
    )


def from_start(words: str, size: float) -> Call:
    """The start has another length, which must not matter."""
    call = lambda m, p: m.vat_perturbation(p.f, p.x, size * p.extra.start, radius=RADIUS)  # noqa: E731
    return Call("vat_perturbation", words, "call-vectors", call)


def of_small_outputs(words: str, size: float, **options: Any) -> Call:
    """The model's outputs hardly differ, so that the divergence hardly curves."""

    def call(m: Any, p: Any) -> Any:
        return m.vat_perturbation(Times(p.f, size), p.x, p.extra.start, radius=RADIUS, **options)

    return Call("vat_perturbation", f"{words}, a model times {size:g}", "call-vectors", call)


SMALL: tuple[tuple[str, float, dict[str, Any]], ...] = (
    ("finite_difference", 1e-3, {"xi": 0.1}),  # an epsilon beside the gradient's square would be seen
    ("exact, 20 steps", 1e-8, {"how": "exact", "steps": 20}),  # twenty products without a norm between are 0
)


def perturbation_calls() -> Iterator[Call]:
    for how in HOWS:
        yield perturbation(f"{how}, 3 steps", "call-vectors", how=how, steps=3, xi=0.1)
        for case in ("call-vectors", "call-images", "call-matrices"):
            yield perturbation(how, case, how=how, xi=0.01)
    for how in HOWS:
        yield of_small_outputs(f"{how}, nothing curves", 0.0, how=how, xi=0.01)
    yield perturbation("finite_difference, 12 steps", "call-vectors", steps=12, **DIFFERENCE)
    for case in ("call-many", "call-volumes", "call-numbers", "call-one", "call-wide"):
        yield perturbation("", case)
    yield perturbation("50 steps", "call-volumes", steps=50)  # where the 50th still turns it
    for xi in (1e-3, 1.0):
        yield perturbation(f"xi {xi}", "call-vectors", how="finite_difference", xi=xi)
    yield perturbation("radius 0", "call-vectors", radius=0.0)
    yield perturbation("2 steps", "call-matrices", steps=2)
    yield Call(
        "vat_perturbation",
        "from a start of 0",
        "call-vectors",
        lambda m, p: m.vat_perturbation(p.f, p.x, 0 * p.extra.start, radius=0.5),
    )
    yield Call(
        "vat_perturbation",
        "a start that is x",
        "call-many",
        lambda m, p: m.vat_perturbation(p.f, p.x, p.x, radius=RADIUS),
    )
    yield from_start(f"a start times {SIZES[0]:g}", SIZES[0])
    for words, size, options in SMALL:
        yield of_small_outputs(words, size, **options)
    yield Call(
        "vat_perturbation",
        "a model that holds x",
        "call-vectors",
        lambda m, p: m.vat_perturbation(held_model(p), p.x, p.extra.start, radius=0.5),
    )
    yield after_a_change(
        "vat_perturbation", lambda m, p, f: m.vat_perturbation(f, p.x, p.extra.start, radius=RADIUS), of="f"
    )
    yield around_another(
        perturbation("", "call-vectors"),
        lambda m, p: m.vat_perturbation(p.f, p.x[:2], p.extra.start[:2], radius=0.5),
    )


def smoothness(words: str, case: str, logits: bool = False, **options: Any) -> Call:
    options = {"radius": 0.5} | options

    def call(m: Any, p: Any) -> Any:
        more = {"logits": p.f(p.x)} if logits else {}
        return m.vat_loss(p.f, p.x, p.extra.start, **options, **more)

    return Call(
        "vat_loss",
        joined([words] + ["with logits"] * logits),
        case,
        call,
        (lambda p: pullbacks.vat_loss(p.f, p.x, p.extra.start, **options),),
        held=("start",),
    )


def of_a_closure(words: str, closure: Callable[[Any], Any]) -> Call:
    """Of a model made of the point's."""

    def call(m: Any, p: Any) -> Any:
        return m.vat_loss(closure(p), p.x, p.extra.start, radius=RADIUS, entropy_weight=0.5)

    return Call("vat_loss", words, "call-vectors", call, (lambda p: held_pull(p, call(pullbacks, p)),))


def smoothness_beside_another_pass() -> Call:
    """The given logits are not those that f gives again: the power steps, the loss and the entropy have the given.

    By differences: of an exact product of the Fisher matrix and one of the Hessian, which differ then, both are right.
    """
    options: dict[str, Any] = {"radius": 0.5, "entropy_weight": 0.5} | DIFFERENCE

    def call(m: Any, p: Any) -> Any:
        return m.vat_loss(p.f, p.x, p.extra.start, logits=Times(p.f, OTHER)(p.x), **options)

    def pull(p: Any) -> Any:
        return pullbacks.vat_loss(p.f, p.x, p.extra.start, logits=Times(p.f, OTHER), **options)

    return Call("vat_loss", "logits of another pass", "call-vectors", call, (pull,), held=("start",))


def smoothness_calls() -> Iterator[Call]:
    for weight in (0.0, 0.5, 1.0):
        for logits in (False, True):
            if weight != 1:
                yield smoothness(f"entropy {weight}", "call-matrices", logits, entropy_weight=weight)
        yield smoothness(f"exact, entropy {weight}", "call-vectors", how="exact", entropy_weight=weight)
    for how in HOWS:
        yield smoothness(f"{how}, 3 steps", "call-vectors", how=how, steps=3, xi=0.1)
    yield smoothness_beside_another_pass()
    yield smoothness("20 steps", "call-volumes", steps=20)
    for case in ("call-many", "call-images", "call-numbers", "call-one", "call-wide"):
        yield smoothness("", case, entropy_weight=0.3)
    for how in HOWS[1:]:
        yield smoothness(f"{how}, 2 steps", "call-many", logits=True, how=how, steps=2, xi=0.1, entropy_weight=0.3)
    yield smoothness("radius 0", "call-vectors", radius=0.0)
    yield of_a_closure("a model that holds x", held_model)
    yield of_a_closure("saturated", lambda p: Times(p.f, SATURATED))
    yield after_a_change("vat_loss", lambda m, p, f: m.vat_loss(f, p.x, p.extra.start, radius=RADIUS), "f", False)
    yield smoothness("finite_difference", "call-images", **DIFFERENCE)
    for xi in (1e-3, 1.0):
        yield smoothness(f"xi {xi}", "call-vectors", how="finite_difference", xi=xi)


CALLS = (*perturbation_calls(), *smoothness_calls())
