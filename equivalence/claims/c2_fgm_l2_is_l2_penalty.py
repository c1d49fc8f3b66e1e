"""FGM with the normalised gradient: FGM on the L2 ball is the penalty ε‖g‖₂, to first order."""

from equivalence.claim import Claim
from equivalence.parts.first_order import mistakes, residual_gradient


def measure(problem, reference):
    yield "θ-gradient", residual_gradient(problem, reference, norm="l2", factor=1, penalty="l2")


CLAIM = Claim(
    id="C2",
    title="FGM on the L2 ball is the penalty ε‖g‖₂",
    formula="∇θℓ(x+εg/‖g‖) = ∇θ(ℓ + ε‖g‖₂) + O(ε²), r held fixed",
    source="Su, 泛化性乱弹; Miyato et al. 2017",
    methods=("fgm", "input_gradient_penalty"),
    cases=("tanh-mlp", "digits-mlp"),
    measure=measure,
    wrong=mistakes()
    | {
        "one norm for the whole batch": lambda m, bridge: {
            "fgm": lambda loss, x, radius, norm: m.fgm(loss, x, radius=radius, norm=norm, scope="tensor")
        },
    },
    control="tanh-mlp",
)
