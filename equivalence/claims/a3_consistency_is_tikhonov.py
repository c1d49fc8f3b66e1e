"""Consistency under noise is a weighted penalty on the Jacobian. Expectations are sums over every noise vector."""

from equivalence.claim import Claim
from equivalence.parts.consistency import penalised, split


def measure(problem, reference):
    if reference.case.model == "linear":
        yield "reverse KL", penalised(problem, reference, "kl_divergence", reverse=True)
        return
    yield "squared error", penalised(problem, reference, "squared_error")
    if reference.case.model == "mlp":
        yield "KL", penalised(problem, reference, "kl_divergence")
        yield "bound", split(problem, reference)


CLAIM = Claim(
    id="A3",
    title="Consistency under noise is a Tikhonov penalty on the outputs' gradients",
    formula="E D(f(x), f(x+σz)) = ½σ² Σᵢ λᵢ‖∇fᵢ‖² + O(σ⁴): squared error σ²‖J‖², KL either way ½σ² Σᵢ pᵢ‖∇log pᵢ‖²;"
    " ‖f(x+ε)-y‖² ≤ 2(‖f(x+ε)-f(x)‖² + ‖f(x)-y‖²)",
    source="Su, 泛化性乱弹, eq. 7-8",
    methods=("consistency_loss", "tikhonov_penalty", "kl_divergence", "squared_error"),
    cases=("softmax", "tanh-mlp"),
    measure=measure,
    wrong={
        "the penalty is 3 % too large": lambda m, bridge: {
            "tikhonov_penalty": lambda name, f, x: 1.03 * m.tikhonov_penalty(name, f, x)
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
