"""Calls of the losses: class numbers and soft labels, few classes and many, both arguments' gradients."""

from collections.abc import Iterator
from typing import Any

from equivalence.calls.call import Call
from equivalence.calls.closures import SATURATED
from equivalence.oracle import pullbacks

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


def calls() -> Iterator[Call]:
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
