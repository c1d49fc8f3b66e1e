"""FGM on the L1 ball, all of it on the largest component: the penalty ε‖g‖_∞, to first order."""

from equivalence.claim import Claim
from equivalence.parts.first_order import residual


def measure(problem, reference):
    yield from residual(problem, reference, norm="l1", factor=1, penalty="linf").items()


CLAIM = Claim(
    id="C4",
    title="FGM on the L1 ball is the penalty ε‖g‖_∞",
    formula="ℓ(x+r) = ℓ + ε‖g‖_∞ + O(ε²), r = ε sign gᵢ at the largest |gᵢ|, and so after ∇θ, r held fixed",
    source="Su, 泛化性乱弹, eq. 11; Duchi et al. 2008 for the ball",
    methods=("fgm", "l2_norm"),
    cases=("tanh-mlp", "digits-mlp"),
    measure=measure,
    wrong={
        "the gradient is 3 % too long": lambda m, bridge: {
            "fgm": lambda loss, x, radius, norm: m.fgm(loss, x, radius=1.03 * radius, norm=norm)
        },
        "g / ‖g‖₁, spread over all components": lambda m, bridge: {
            "fgm": lambda loss, x, radius, norm: (
                m.fgm(loss, x, radius=radius, norm="raw") / m.input_gradient_penalty(loss, x, norm="l1")[:, None]
            )
        },
        "one ball for the whole batch": lambda m, bridge: {
            "fgm": lambda loss, x, radius, norm: m.fgm(loss, x, radius=radius, norm=norm, scope="tensor")
        },
    },
    control="tanh-mlp",
)
