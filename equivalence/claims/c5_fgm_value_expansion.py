"""The loss at FGM's perturbation, term by term; and what happens when the perturbation is not held fixed."""

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.parts.expansion import not_fixed, value


def measure(problem, reference):
    point = reference.point
    size = float(oracle.values.l2_norm(point.loss.grad(point.x)).max())  # so that a step is a length
    yield "value", value(problem, reference, size)
    yield from not_fixed(problem, reference, size)


CLAIM = Claim(
    id="C5",
    title="The loss at x+εg to second order; with g not held fixed, training doubles the penalty",
    formula="ℓ(x+εg) = ℓ + ε‖g‖² + ½ε²gᵀHg + O(ε³); not fixed: ∇θ tends to ∇θ(ℓ+ε‖g‖²), slope 1 against ½, 2 against 1",
    source="Su, 泛化性乱弹, eq. 11-16",
    methods=("fgm", "input_gradient_penalty", "hvp"),
    cases=("cubic", "tanh-mlp"),
    measure=measure,
    wrong={
        "the penalty is not squared": lambda m, bridge: {
            "input_gradient_penalty": lambda loss, x: m.input_gradient_penalty(loss, x, norm="l2")
        },
        "the curvature lacks a factor": lambda m, bridge: {"hvp": lambda loss, x, vector: m.hvp(loss, x, vector) / 2},
        "the radius is doubled": lambda m, bridge: {
            "fgm": lambda loss, x, radius, **options: m.fgm(loss, x, radius=2 * radius, **options)
        },
    },
    control="tanh-mlp",
)
