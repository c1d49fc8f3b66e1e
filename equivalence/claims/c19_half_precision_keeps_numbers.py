"""Losses, divergences and penalties of half-precision numbers are float32's: what is rounded is the model alone."""

import numpy as np

from equivalence import oracle
from equivalence.cases import rounded
from equivalence.claim import Claim
from equivalence.measure import HALF, equal
from equivalence.parts.composed import as_wide_as, one_hot, summed

LOGITS = (2.0, 8.0)  # standard deviations: predictions that waver, and confident ones


def losses(methods, labels, p, q):
    """Numbers of logits (B, C) that are exact in half precision."""
    return {
        "cross_entropy": methods.cross_entropy(p, labels),
        "squared_error": methods.squared_error(p, q),
        "kl_divergence": methods.kl_divergence(p, q),
        "entropy": methods.entropy(p),
    }


def penalties(methods, point):
    """Numbers of a linear model, whose gradients are its weights: no operation of the model rounds them."""

    def first(x):
        return point.f(x)[:, 0]

    return {
        "input_gradient_penalty": methods.input_gradient_penalty(first, point.x),
        "wgan_gradient_penalty": methods.wgan_gradient_penalty(first, point.x, point.x, point.extra.mix, target=0.0),
        "jacobian_penalty": methods.jacobian_penalty(point.f, point.x),
    }


def measure(problem, reference):
    case, methods, rng = reference.case, problem.methods, np.random.default_rng(0)
    for dtype in HALF:
        run = problem.in_dtype(dtype).compile(lambda p, *logits: losses(methods, p.labels, *logits), sweep=False)
        for size in LOGITS:
            logits = rounded(size * rng.standard_normal((2, case.batch, 3)), dtype)
            expected = losses(oracle.values, case.labels, *logits)
            for name, found in run(*logits).items():  # terms of a logarithm and of a square, added up in float32
                scale = 1 + np.abs(logits).max() ** (2 if name == "squared_error" else 1)
                yield f"{name}, logits of {size:g}, {dtype}", equal(found, expected[name], scale, "float32")
        squares = rounded(case.params["weight"], dtype) ** 2
        expected = dict.fromkeys(("input_gradient_penalty", "wgan_gradient_penalty"), squares[0].sum())
        expected["jacobian_penalty"] = squares.sum()
        for name, found in problem.in_dtype(dtype).compile(lambda p: penalties(methods, p), sweep=False)().items():
            yield f"{name}, {dtype}", equal(found, np.array(expected[name]), dtype="float32")


def softmax_as_given(m, bridge):
    """A wrong variant: log Σ exp in the dtype of the logits, from which the label's logit is subtracted there."""

    def cross_entropy(logits, labels):
        chosen = summed(one_hot(m, labels, logits) * logits)
        log_sum_exp = as_wide_as(bridge, m.cross_entropy(logits, labels), chosen) + chosen
        return log_sum_exp - chosen

    return {"cross_entropy": cross_entropy}


def as_given(name):
    """A wrong variant: the method's number in the dtype of its argument, which is added up in there."""

    def replace(m, bridge):
        def method(*arguments, **options):
            array = next(argument for argument in arguments if hasattr(argument, "dtype"))
            return as_wide_as(bridge, getattr(m, name)(*arguments, **options), array)

        return {name: method}

    return replace


CLAIM = Claim(
    id="C19",
    title="Losses, divergences and penalties of half-precision numbers are computed in float32",
    formula="of logits and gradients that half precision holds exactly, each number is right to float32's rounding",
    source="Micikevicius et al. 2018, §3.3: reductions in float32",
    methods=(
        "cross_entropy",
        "squared_error",
        "kl_divergence",
        "entropy",
        "input_gradient_penalty",
        "wgan_gradient_penalty",
        "jacobian_penalty",
    ),
    cases=("softmax",),
    measure=measure,
    wrong={
        "the softmax in the dtype of the logits": softmax_as_given,
        "a divergence in the dtype of the logits": as_given("kl_divergence"),
        "an entropy in the dtype of the logits": as_given("entropy"),
        "a square in the dtype of the outputs": as_given("squared_error"),
        "the norm of the gradient in its own dtype": as_given("input_gradient_penalty"),
        "the Jacobian's norm in its own dtype": as_given("jacobian_penalty"),
        "the critic's norm in its own dtype": as_given("wgan_gradient_penalty"),
    },
    control="softmax",
)
