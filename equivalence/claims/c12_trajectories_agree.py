"""Not one gradient but whole trainings agree: K steps on FGM's loss and on the penalised loss end O(ε²) apart."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import ladder, order
from equivalence.parts.parameter import apart, gradient, trained
from equivalence.problem import flat

STEPS, TAIL = ladder(-4, -12), ladder(-51, -51)
UPDATES, RATE = 3, 0.5


def part(problem, reference, norm, factor, penalty):
    methods, point, start = problem.methods, reference.point, flat(reference.case.params)

    def adversarial(point, radius):
        return point.loss(point.x + methods.fgm(point.loss, point.x, radius=radius, norm=norm))

    def penalised(point, radius):
        return point.loss(point.x) + factor * radius * methods.input_gradient_penalty(point.loss, point.x, norm=penalty)

    runs = [gradient(problem, objective) for objective in (adversarial, penalised)]
    longest = np.linalg.norm(oracle.values.fgm(point.loss, point.x, radius=1.0, norm=norm), axis=1).max()

    def residuals(steps):
        ends = [[trained(run, start, step / longest, RATE, UPDATES) for step in steps] for run in runs]
        return np.subtract(*ends)

    return order(residuals, STEPS, TAIL, 2, apart(reference, norm, RATE, UPDATES) / longest**2, scale=1.0)


def measure(problem, reference):
    linear = reference.case.model == "linear"  # each norm on one case
    norm = ("l2", 1.0, "l2") if linear else ("raw", 0.5, "l2_squared")
    yield norm[0], part(problem, reference, *norm)


CLAIM = Claim(
    id="C12",
    title="Trained by K steps on FGM's loss or on the penalised loss, parameters end O(ε²) apart",
    formula="θ_K(FGM) - θ_K(penalty) = ε²δ_K + O(ε³), δₖ₊₁ = δₖ - η(Hδₖ + ½∇θD²ₓℓ[d, d])",
    source="Su, 泛化性乱弹, eq. 14-16",
    methods=("fgm", "input_gradient_penalty"),
    cases=("softmax",),
    measure=measure,
    wrong={
        "the gradient is 3 % too long": lambda m, bridge: {
            "fgm": lambda loss, x, *, radius, **options: m.fgm(loss, x, radius=1.03 * radius, **options)
        },
        "the penalty passes no gradient": lambda m, bridge: {
            "input_gradient_penalty": lambda *given, **options: bridge.fixed(
                m.input_gradient_penalty(*given, **options)
            )
        },
    },
    control="softmax",
)
