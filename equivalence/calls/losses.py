"""Calls of the losses: class numbers and soft labels, few classes and many, both arguments' gradients."""

from collections.abc import Iterator
from typing import Any

from equivalence.calls.call import Call, joined
from equivalence.calls.closures import SATURATED
from equivalence.oracle import pullbacks

FAR = 2.0**20
CASES = ("call-vectors", "call-many", "call-matrices", "call-one", "call-wide")


def of_outputs(method: str, words: str, case: str, call: Any, flows: tuple[str, ...] = (), place: int = 0) -> Call:
    """A loss of f(x), which is its argument at that place."""

    def pull(p: Any) -> Any:
        def pullback(c: Any) -> Any:
            bar = call(pullbacks, p.f(p.x), p)(c)
            return p.f.vjp(p.x, bar[place] if isinstance(bar, tuple) else bar)

        return pullback

    return Call(method, words, case, lambda m, p: call(m, p.f(p.x), p), (pull,), flows)


def both(words: str, case: str, scale: float) -> Call:
    """The divergence between the outputs and others, near or far."""

    def divergence(m: Any, outputs: Any, p: Any) -> Any:
        return m.kl_divergence(outputs, scale * p.extra.targets)

    return of_outputs("kl_divergence", words, case, divergence, ("targets",))


def far_first(scale: float) -> Call:
    """The divergence of what is nearly certain from the outputs: ratios of probabilities are as small as they come."""

    def divergence(m: Any, outputs: Any, p: Any) -> Any:
        return m.kl_divergence(scale * p.extra.targets, outputs)

    return of_outputs(
        "kl_divergence", f"from logits times {scale:g}", "call-vectors", divergence, ("targets",), place=1
    )


def far_from_zero() -> Call:
    """Where ‖a‖² + ‖b‖² - 2ab has lost six digits of a difference that is exact."""

    def call(m: Any, p: Any) -> Any:
        return m.squared_error(p.f(p.x) + FAR, 0 * p.extra.targets + FAR)

    def pull(p: Any) -> Any:
        return lambda c: p.f.vjp(p.x, 2 * c[:, None] * p.f(p.x))

    return Call("squared_error", "outputs far from 0", "call-ties", call, (pull,), exact=True)


class OfLogits:
    """logits -> one of the losses, of another argument as it is or as a second one."""

    def __init__(self, loss: Any, *others: Any, place: int = 0):
        self.loss, self.others, self.place = loss, list(others), place

    def arguments(self, logits: Any) -> list[Any]:
        return [*self.others[: self.place], logits, *self.others[self.place :]]

    def __call__(self, logits: Any) -> Any:
        return self.loss(*self.arguments(logits))

    def vjp(self, logits: Any, cotangent: Any) -> Any:
        bar = self.loss.vjp(*self.arguments(logits), cotangent)
        return (bar[self.place] if isinstance(bar, tuple) else bar), {}


def twice(method: str, words: str, others: Any, place: int = 0) -> Call:
    """The second derivative: what a penalty on a loss's gradient is trained with."""

    def call(m: Any, p: Any) -> Any:
        loss = OfLogits(getattr(m, method), *others(p), place=place)
        return m.hvp(loss, p.extra.targets, p.extra.class_weights)

    return Call(method, joined(["second derivative", words]), "call-vectors", call, (lambda p: lambda c: (None, {}),))


def second_derivatives() -> Iterator[Call]:
    yield twice("cross_entropy", "class numbers", lambda p: [p.labels])
    yield twice("cross_entropy", "soft labels", lambda p: [p.extra.soft_labels])
    yield twice("squared_error", "", lambda p: [p.extra.soft_labels])
    yield twice("entropy", "", lambda p: [])
    for place, words in enumerate(("in p", "in q")):
        yield twice("kl_divergence", words, lambda p: [p.extra.soft_labels], place)


def calls() -> Iterator[Call]:
    yield from second_derivatives()
    for case in CASES:
        yield of_outputs("cross_entropy", "class numbers", case, lambda m, o, p: m.cross_entropy(o, p.labels), ())
        yield of_outputs(
            "cross_entropy",
            "soft labels",
            case,
            lambda m, o, p: m.cross_entropy(o, p.extra.soft_labels),
            (),
        )
        yield of_outputs("squared_error", "", case, lambda m, o, p: m.squared_error(o, p.extra.targets), ("targets",))
        yield of_outputs("entropy", "", case, lambda m, o, p: m.entropy(o), ())
        yield both("", case, 1.0)
    yield of_outputs(
        "squared_error", "one output", "call-ties", lambda m, o, p: m.squared_error(o, p.extra.targets), ("targets",)
    )
    yield far_from_zero()
    for scale in (20.0, 200.0, SATURATED):
        yield both(f"logits times {scale:g}", "call-vectors", scale)
        yield far_first(scale)
        yield of_outputs(
            "entropy",
            f"logits times {scale:g}",
            "call-vectors",
            lambda m, o, p, s=scale: m.entropy(o + s * p.extra.targets),
        )
        yield of_outputs(
            "cross_entropy",
            f"logits times {scale:g}",
            "call-vectors",
            lambda m, o, p, s=scale: m.cross_entropy(o + s * p.extra.targets, p.labels),
        )
        yield of_outputs(
            "cross_entropy",
            f"soft labels, logits times {scale:g}",
            "call-vectors",
            lambda m, o, p, s=scale: m.cross_entropy(o + s * p.extra.targets, p.extra.soft_labels),
        )


CALLS = tuple(calls())
