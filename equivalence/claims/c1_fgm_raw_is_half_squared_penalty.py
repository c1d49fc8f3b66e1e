"""FGM with the raw gradient: FGM with r = εg is the penalty ½ε‖g‖², to first order."""

from equivalence.claim import Claim
from equivalence.parts.first_order import mistakes, residual_gradient


def measure(problem, reference):
    yield "θ-gradient", residual_gradient(problem, reference, norm="raw", factor=0.5, penalty="l2_squared")


CLAIM = Claim(
    id="C1",
    title="FGM with r = εg is the penalty ½ε‖g‖²",
    formula="∇θℓ(x+εg) = ∇θ(ℓ + ½ε‖g‖²) + O(ε²), r held fixed",
    source="Su, 泛化性乱弹, eq. 11, 14-16",
    methods=("fgm", "input_gradient_penalty"),
    cases=("quadratic", "tanh-mlp", "reviews-text"),
    measure=measure,
    wrong=mistakes()
    | {
        "a mean-reduced loss inside the attack": lambda m, bridge: {
            "fgm": lambda loss, x, **options: m.fgm(lambda x: loss(x) / x.shape[0], x, **options)
        },
        "r is not held fixed": lambda m, bridge: {
            "fgm": lambda loss, x, radius, norm: radius * bridge.gradient(loss, x)
        },
    },
    control="tanh-mlp",
)
