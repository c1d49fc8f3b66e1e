"""A step of gradient descent follows the flow of the loss plus a penalty on its gradient, with ¼ before it."""

import numpy as np

from equivalence.claim import Claim
from equivalence.measure import ladder, order
from equivalence.parts.parameter import bent, gradient, runge_kutta, slope
from equivalence.problem import flat

STEPS, TAIL = ladder(-3, -10), ladder(-20, -20)


def measure(problem, reference):
    start, penalty = flat(reference.case.params), problem.methods.parameter_gradient_penalty
    run = gradient(problem, lambda p, rate: p.loss(p.x) + penalty(p.of_params, p.params, rate=rate))
    descent = slope(reference, start)  # g
    once = bent(reference, start, descent)  # Hg
    twice, curved = bent(reference, start, once), bent(reference, start, descent, order=2)  # H²g, D³L[g, g]

    def part(factor, p, coefficient):
        """Measure a step minus the flow of L + factor·¼·γ‖∇L‖² for a time γ."""

        def residual(rate):
            flow = runge_kutta(lambda theta: -run(theta, factor * rate)[1], start, rate)
            return start - rate * descent - flow

        return order(lambda rates: np.stack(list(map(residual, rates))), STEPS, TAIL, p, coefficient, 1.0)

    yield "L + ¼γ‖∇L‖²", part(1, 3, -twice / 3 - curved / 12)
    if reference.case.model == "linear":  # once is enough for what the method has no part in
        yield "L", part(0, 2, -once / 2)
        yield "L + ½γ‖∇L‖²", part(2, 2, once / 2)


CLAIM = Claim(
    id="C14",
    title="A step of gradient descent is the flow of L + ¼γ‖∇L‖² to third order; of L, or with ½, only to second",
    formula="θ - γ∇L = φ_γ[L + ¼γ‖∇L‖²](θ) - γ³(⅓H²g + ¹⁄₁₂D³L[g, g]) + O(γ⁴)",
    source="Barrett & Dherin 2021, eq. 1-2; Su, 从动力学角度看优化算法（五）",
    methods=("parameter_gradient_penalty",),
    cases=("softmax",),
    measure=measure,
    wrong={
        "½ in the place of ¼": lambda m, bridge: {
            "parameter_gradient_penalty": lambda loss, params, *, rate: m.parameter_gradient_penalty(
                loss, params, rate=2 * rate
            )
        },
        "the penalty is 1 % too small": lambda m, bridge: {
            "parameter_gradient_penalty": lambda loss, params, *, rate: (
                0.99 * m.parameter_gradient_penalty(loss, params, rate=rate)
            )
        },
    },
    control="softmax",
)
