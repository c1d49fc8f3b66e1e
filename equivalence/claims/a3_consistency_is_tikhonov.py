"""Consistency under noise is a weighted penalty on the Jacobian. Expectations are sums over every noise vector."""

import math

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import SIGNS, every, ladder, order

STEPS, TAIL = ladder(1, -13), ladder(-27, -28)


def part(problem, reference, divergence, name, penalty):
    """`name` is the divergence's among the oracle's, `penalty` its kind: both directions of KL have the same."""
    point = reference.low_dimensional()
    batch, n = point.x.shape
    noise = np.broadcast_to(every(SIGNS, n)[:, None], (2**n, batch, n))  # (K, B, n)

    def residual(point, sigma, noise):
        point = problem.low_dimensional(point)
        consistency = problem.methods.consistency_loss(divergence, point.f, point.x, sigma * noise)
        return consistency - 0.5 * sigma**2 * problem.methods.tikhonov_penalty(penalty, point.f, point.x)

    def residuals(steps):
        values, gradients = problem.evaluate(residual, [(step, noise) for step in steps])
        return np.concatenate([values, gradients], axis=1)

    def consistency(t):
        pulled = oracle.pullbacks.consistency_loss(getattr(oracle.pullbacks, name), point.f, point.x, t * noise)
        value = oracle.values.consistency_loss(getattr(oracle.values, name), point.f, point.x, t * noise)
        return np.concatenate([value, reference.total(pulled(np.full(batch, 1 / batch)))])

    coefficient = oracle.derivative(consistency, order=4, radius=0.05) / math.factorial(4)
    return order(residuals, STEPS, TAIL, 4, coefficient, scale=float(np.linalg.norm(consistency(0.5))))


def measure(problem, reference):
    methods = problem.methods

    def reverse_kl(clean, noisy):
        return methods.kl_divergence(noisy, clean)

    yield "squared error", part(problem, reference, methods.squared_error, "squared_error", "squared_error")
    yield "KL", part(problem, reference, methods.kl_divergence, "kl_divergence", "kl_divergence")
    if reference.case.directions is None:
        yield "reverse KL", part(problem, reference, reverse_kl, "reverse_kl_divergence", "kl_divergence")


CLAIM = Claim(
    id="A3",
    title="Consistency under noise is a Tikhonov penalty on the outputs' gradients",
    formula="E D(f(x), f(x+σz)) = ½σ² Σᵢ λᵢ‖∇fᵢ‖² + O(σ⁴): squared error σ²‖J‖², KL either way ½σ² Σᵢ pᵢ‖∇log pᵢ‖²",
    source="Su, 泛化性乱弹, eq. 7-8",
    methods=("consistency_loss", "tikhonov_penalty", "kl_divergence", "squared_error"),
    cases=("softmax", "tanh-mlp", "reviews-text"),
    measure=measure,
    wrong={
        "λ = 1 for the squared error": lambda m, bridge: {
            "tikhonov_penalty": lambda divergence, f, x: m.tikhonov_penalty(divergence, f, x) / 2
        },
        "the logits in the place of the log-probabilities": lambda m, bridge: {
            "tikhonov_penalty": lambda divergence, f, x: m.tikhonov_penalty("squared_error", f, x)
        },
        "averaged over the classes": lambda m, bridge: {
            "squared_error": lambda a, b: m.squared_error(a, b) / a.shape[-1]
        },
        "the clean side is held fixed": lambda m, bridge: {
            "consistency_loss": lambda divergence, f, x, noise: m.consistency_loss(
                lambda clean, noisy: divergence(bridge.fixed(clean), noisy), f, x, noise
            )
        },
    },
    control="tanh-mlp",
)
