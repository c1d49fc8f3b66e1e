"""Calls of the penalties: every norm and way, weights and probes, what comes back beside the penalty, zeros."""

from collections.abc import Iterator
from typing import Any

from equivalence.calls.call import Call, joined
from equivalence.calls.closures import (
    SATURATED,
    SHAPES,
    SIZES,
    FirstOutput,
    Holding,
    Times,
    after_a_change,
    around_another,
    holding,
    scaled,
)
from equivalence.oracle import pullbacks

NORMS = ("l2_squared", "l2", "l1")
HOWS = ("double_backward", "forward_over_reverse", "finite_difference")


def loss_pull(p: Any) -> Any:
    """The pullback of the losses that come back beside a penalty."""
    return lambda c: p.loss.vjp(p.x, c)


def outputs_pull(p: Any) -> Any:
    """The pullback of the outputs that come back beside a penalty."""
    return lambda c: p.f.vjp(p.x, c)


def gradient_penalty(words: str, case: str, exact: bool = False, with_loss: bool = False, **options: Any) -> Call:
    def pull(p: Any) -> Any:
        return pullbacks.input_gradient_penalty(p.loss, p.x, **options)

    more = {"with_loss": True} if with_loss else {}
    if options.get("how") == "finite_difference":
        options = {"xi": 0.01} | options
    return Call(
        "input_gradient_penalty",
        joined([words] + ["with the loss"] * with_loss),
        case,
        lambda m, p: m.input_gradient_penalty(p.loss, p.x, **options, **more),
        (pull, loss_pull) if with_loss else (pull,),
        exact=exact,
    )


def with_zeros(how: str) -> Call:
    """The loss does not look at some components: their signs are 0, and a direction of signs is shorter."""

    step: dict[str, Any] = {"xi": 0.01} if how == "finite_difference" else {}

    def penalty(m: Any, p: Any) -> Any:
        return m.input_gradient_penalty(holding(p, p.extra.masks[0]), p.x, norm="l1", how=how, **step)

    words = f"l1, {how}, components without gradient"
    return Call(
        "input_gradient_penalty", words, "call-vectors", penalty, (lambda p: held_pull(p, penalty(pullbacks, p)),)
    )


def gradient_penalty_calls() -> Iterator[Call]:
    for norm in NORMS:
        for how in HOWS:
            yield gradient_penalty(f"{norm}, {how}", "call-many", with_loss=True, norm=norm, how=how)
            yield gradient_penalty(f"{norm}, {how}", "call-flat", exact=True, norm=norm, how=how)
        yield gradient_penalty(f"{norm}, by default", "call-vectors", norm=norm)
    for how in HOWS:
        yield gradient_penalty(f"l2, {how}, one zero", "zero-gradient", norm="l2", how=how, xi=0.01)
    for case in SHAPES[1:]:
        yield gradient_penalty("l2", case, norm="l2")
    yield gradient_penalty("l2_squared", "call-wide")
    for norm in NORMS:
        for size in SIZES:
            yield scaled(gradient_penalty(norm, "call-vectors", norm=norm), size)
    for xi in (0.5, 1e-3, None):
        yield gradient_penalty(f"finite_difference, xi {xi}", "call-vectors", how="finite_difference", xi=xi)
    for how in HOWS:
        yield gradient_penalty(f"l1, {how}", "call-matrices", with_loss=True, norm="l1", how=how)
    for how in HOWS:
        yield with_zeros(how)
    yield after_a_change("input_gradient_penalty", lambda m, p, loss: m.input_gradient_penalty(loss, p.x), fixed=False)
    yield Call(
        "input_gradient_penalty",
        "a loss that holds x",
        "call-vectors",
        lambda m, p: m.input_gradient_penalty(holding(p, p.x), p.x),
        (lambda p: held_pull(p, pullbacks.input_gradient_penalty(holding(p, p.x), p.x)),),
    )
    yield around_another(
        gradient_penalty("l2", "call-vectors", norm="l2"),
        lambda m, p: m.input_gradient_penalty(FirstOutput(p.f), p.x[:2], norm="l2"),
    )


def held_pull(p: Any, pullback: Any) -> Any:
    """The closure holds x: what flows into x by that way is the closure's affair, and is not compared."""
    return lambda c: (None, pullback(c)[1])


def jacobian(words: str, case: str, with_outputs: bool = False, weighted: bool = False, probed: bool = False) -> Call:
    def options(p: Any) -> dict[str, Any]:
        found = {"weights": p.extra.class_weights} if weighted else {}
        return found | ({"probes": p.extra.class_probes} if probed else {})

    def pull(p: Any) -> Any:
        return pullbacks.jacobian_penalty(p.f, p.x, **options(p))

    more = {"with_outputs": True} if with_outputs else {}
    named = [words] + ["weights"] * weighted + ["probes"] * probed + ["with the outputs"] * with_outputs
    return Call(
        "jacobian_penalty",
        joined(named),
        case,
        lambda m, p: m.jacobian_penalty(p.f, p.x, **options(p), **more),
        (pull, outputs_pull) if with_outputs else (pull,),
        ("class_weights",) * weighted + ("class_probes",) * probed,
    )


def jacobian_calls() -> Iterator[Call]:
    for weighted in (False, True):
        for probed in (False, True):
            yield jacobian("", "call-vectors", weighted=weighted, probed=probed)
            yield jacobian("", "call-vectors", with_outputs=True, weighted=weighted, probed=probed)
            yield jacobian("", "call-matrices", weighted=weighted, probed=probed)
    for case in SHAPES[1:]:
        if case != "call-matrices":
            yield jacobian("", case, weighted=True, probed=case != "call-images")
    yield jacobian("", "call-wide")
    yield jacobian("", "call-wide", weighted=True)
    for probed in (False, True):
        yield jacobian("one output", "call-ties", weighted=not probed, probed=probed)
        yield with_weights_of_0(probed)
    yield after_a_change("jacobian_penalty", lambda m, p, f: m.jacobian_penalty(f, p.x), of="f", fixed=False)
    yield one_probe("jacobian_penalty", lambda m, p, probes: m.jacobian_penalty(p.f, p.x, probes=probes))
    yield jacobian("11", "call-draws", weighted=True, probed=True)
    yield Call(
        "jacobian_penalty",
        "a model that holds x",
        "call-vectors",
        lambda m, p: m.jacobian_penalty(held_model(p), p.x),
        (lambda p: held_pull(p, pullbacks.jacobian_penalty(held_model(p), p.x)),),
    )


def with_weights_of_0(probed: bool) -> Call:
    """Where a weight is 0 its root has no slope, and nobody may ask for it who trains the parameters alone."""

    def penalty(m: Any, p: Any) -> Any:
        weights = p.extra.class_weights * (1 + p.extra.class_probes[0])
        return m.jacobian_penalty(p.f, p.x, weights=weights, probes=p.extra.class_probes if probed else None)

    words = joined(["weights of 0"] + ["probes"] * probed)
    return Call("jacobian_penalty", words, "call-vectors", penalty, (lambda p: penalty(pullbacks, p),))


def one_probe(method: str, call: Any, words: str = "") -> Call:
    """With a single probe, whose axis stays one."""

    def penalty(m: Any, p: Any) -> Any:
        return call(m, p, p.extra.class_probes[:1])

    named = joined([words, "one probe"])
    return Call(method, named, "call-many", penalty, (lambda p: penalty(pullbacks, p),), ("class_probes",))


def held_model(p: Any) -> Any:
    """The point's model, with the very x that it is asked at."""
    return Holding(p.f, p.x)


def tikhonov(words: str, case: str, divergence: str, with_outputs: bool = False, probed: bool = False) -> Call:
    def options(p: Any) -> dict[str, Any]:
        return {"probes": p.extra.class_probes} if probed else {}

    def pull(p: Any) -> Any:
        return pullbacks.tikhonov_penalty(divergence, p.f, p.x, **options(p))

    more = {"with_outputs": True} if with_outputs else {}
    named = [divergence, words] + ["probes"] * probed + ["with the outputs"] * with_outputs
    return Call(
        "tikhonov_penalty",
        joined(named),
        case,
        lambda m, p: m.tikhonov_penalty(divergence, p.f, p.x, **options(p), **more),
        (pull, outputs_pull) if with_outputs else (pull,),
        ("class_probes",) * probed,
    )


def tikhonov_calls() -> Iterator[Call]:
    for divergence in ("squared_error", "kl_divergence"):
        for probed in (False, True):
            yield tikhonov("", "call-vectors", divergence, probed=probed)
            yield tikhonov("", "call-vectors", divergence, with_outputs=True, probed=probed)
            for case in ("call-images", "call-numbers", "call-one"):
                yield tikhonov("", case, divergence, probed=probed)
            yield tikhonov("", "call-matrices", divergence, probed=probed)
        yield tikhonov("", "call-wide", divergence)
        yield tikhonov("11", "call-draws", divergence, probed=True)
        yield tikhonov("", "call-volumes", divergence, probed=True)
        yield tikhonov_of_a_model_that_holds_x(divergence)
        yield one_probe(
            "tikhonov_penalty",
            lambda m, p, probes, divergence=divergence: m.tikhonov_penalty(divergence, p.f, p.x, probes=probes),
            divergence,
        )
    for probed in (False, True):
        yield tikhonov("one output", "call-ties", "squared_error", probed=probed)
        yield saturated_tikhonov(probed)
    yield after_a_change(
        "tikhonov_penalty", lambda m, p, f: m.tikhonov_penalty("kl_divergence", f, p.x), of="f", fixed=False
    )


def saturated_tikhonov(probed: bool) -> Call:
    """Where every probability but one is 0 in float64."""

    def penalty(m: Any, p: Any) -> Any:
        probes = p.extra.class_probes if probed else None
        return m.tikhonov_penalty("kl_divergence", Times(p.f, SATURATED), p.x, probes=probes)

    words = joined(["kl_divergence, saturated"] + ["probes"] * probed)
    return Call("tikhonov_penalty", words, "call-vectors", penalty, (lambda p: penalty(pullbacks, p),))


def tikhonov_of_a_model_that_holds_x(divergence: str) -> Call:
    return Call(
        "tikhonov_penalty",
        f"{divergence}, a model that holds x",
        "call-vectors",
        lambda m, p: m.tikhonov_penalty(divergence, held_model(p), p.x),
        (lambda p: held_pull(p, pullbacks.tikhonov_penalty(divergence, held_model(p), p.x)),),
    )


def wgan(words: str, case: str, exact: bool = False, **options: Any) -> Call:
    return Call(
        "wgan_gradient_penalty",
        words,
        case,
        lambda m, p: m.wgan_gradient_penalty(p.loss, p.x, p.extra.vector, p.extra.mix, **options),
        (lambda p: pullbacks.wgan_gradient_penalty(p.loss, p.x, p.extra.vector, p.extra.mix, **options),),
        ("vector", "mix"),
        exact=exact,
    )


def wgan_calls() -> Iterator[Call]:
    for size in SIZES:
        yield scaled(wgan("", "call-vectors"), size)
    yield wgan("by default", "call-vectors")
    for target in (0.0, 0.3, 2.0):
        yield wgan(f"target {target}", "call-vectors", target=target)
        yield wgan(f"target {target}", "call-flat", exact=True, target=target)
    for case in SHAPES:
        yield wgan("", case)
    yield wgan("target 0.3", "call-matrices", target=0.3)
    yield around_another(
        wgan("", "call-vectors"),
        lambda m, p: m.wgan_gradient_penalty(FirstOutput(p.f), p.x[:2], p.extra.vector[:2], p.extra.mix[:2]),
    )


CALLS = (*gradient_penalty_calls(), *jacobian_calls(), *tikhonov_calls(), *wgan_calls())
