"""A step down and a step up again, which is what flooding does at its level, descend the gradient's square."""

import numpy as np

from equivalence.claim import Claim
from equivalence.measure import equal, ladder, order
from equivalence.parts.parameter import bent, gradient, mean, slope
from equivalence.problem import flat

STEPS, TAIL = ladder(-1, -12), ladder(-20, -20)


def measure(problem, reference):
    methods, start = problem.methods, flat(reference.case.params)
    flood = gradient(problem, lambda p, level: methods.flooding(mean(problem, p.loss(p.x)), level=level))
    penalise = gradient(problem, lambda p, rate: methods.parameter_gradient_penalty(p.of_params, p.params, rate=rate))
    loss, descent = float(reference.point.loss(reference.point.x).mean()), slope(reference, start)
    for side, level, sign in (("above", 0.0, 1), ("below", 2 * loss, -1)):
        value, slopes = flood(start, level)
        yield f"{side} the level, value", equal(value, level + sign * (loss - level) * np.ones(()))
        yield f"{side} the level, gradient", equal(slopes, sign * descent)
    computed = float(flood(start, 0.0)[0])  # the loss to the last bit
    yield "at the level, gradient", equal(flood(start, computed)[1], 0 * descent, size=float(abs(descent).max()))

    def residual(rate):
        level = loss - rate * descent @ descent / 2  # the first step, of -rate·‖∇L‖², passes it
        low = start - rate * flood(start, level)[1]
        return low - rate * flood(low, level)[1] - start + penalise(start, 2 * rate**2)[1]

    coefficient = bent(reference, start, descent, order=2) / 2
    yield "down and up", order(lambda rates: np.stack(list(map(residual, rates))), STEPS, TAIL, 3, coefficient, 1.0)


CLAIM = Claim(
    id="C13",
    title="Flooding turns the loss upwards below its level; a step down and a step up descend ½η²‖∇L‖²",
    formula="θ - η∇L(θ) + η∇L(θ - η∇L) = θ - ½η²∇‖∇L‖² + O(η³)",
    source="Ishida et al. 2020, eq. 4; Su, 我们真的需要把训练集的损失降低到零吗",
    methods=("flooding", "parameter_gradient_penalty"),
    cases=("softmax", "tanh-mlp"),
    measure=measure,
    wrong={
        "nothing is learnt below the level": lambda m, bridge: {
            "flooding": lambda loss, *, level: (m.flooding(loss, level=level) + loss) / 2
        },
        "the level is not added again": lambda m, bridge: {
            "flooding": lambda loss, *, level: m.flooding(loss, level=level) - level
        },
        "the penalty is 3 % too large": lambda m, bridge: {
            "parameter_gradient_penalty": lambda loss, params, *, rate: (
                1.03 * m.parameter_gradient_penalty(loss, params, rate=rate)
            )
        },
    },
    control="softmax",
)
