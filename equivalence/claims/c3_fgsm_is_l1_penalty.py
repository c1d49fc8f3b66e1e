"""FGM with the gradient's signs: FGSM is the penalty ε‖g‖₁, to first order."""

from equivalence.claim import Claim
from equivalence.parts.first_order import mistakes, residual_gradient


def measure(problem, reference):
    yield "θ-gradient", residual_gradient(problem, reference, norm="linf", factor=1, penalty="l1")


CLAIM = Claim(
    id="C3",
    title="FGSM is the penalty ε‖g‖₁",
    formula="∇θℓ(x+ε sign g) = ∇θ(ℓ + ε‖g‖₁) + O(ε²), r held fixed",
    source="Su, 泛化性乱弹; Goodfellow et al. 2015",
    methods=("fgm", "input_gradient_penalty"),
    cases=("tanh-mlp", "softplus-mlp"),
    measure=measure,
    wrong=mistakes()
    | {
        "the l2 norm is penalised": lambda m, bridge: {
            "input_gradient_penalty": lambda loss, x, norm: m.input_gradient_penalty(loss, x, norm="l2")
        },
    },
    control="tanh-mlp",
)
