"""Noise on the weights or on a hidden layer is A1 with these in the place of the input."""

from equivalence.claim import Claim
from equivalence.parts.inside import on_hidden_layer, on_weights


def measure(problem, reference):
    yield "weights", on_weights(problem, reference)
    yield "hidden layer", on_hidden_layer(problem, reference)


CLAIM = Claim(
    id="A7",
    title="Noise on weights or on a hidden layer adds ½σ² times the Laplacian of the loss in these",
    formula="E ℓ(θ+σz) = ℓ + ½σ² tr ∇²_θℓ + O(σ⁴), and likewise for a hidden activation in the place of θ",
    source="An 1996; Bishop 1995",
    methods=("weight_noise", "noisy_loss", "laplacian", "cross_entropy"),
    cases=("tanh-mlp",),
    measure=measure,
    wrong={
        "3 % too much noise on the weights": lambda m, bridge: {
            "weight_noise": lambda loss, params, noise: m.weight_noise(
                loss, params, {name: 1.03 * draws for name, draws in noise.items()}
            )
        },
        "the biases get none": lambda m, bridge: {
            "weight_noise": lambda loss, params, noise: m.weight_noise(
                loss, params, {name: draws * (len(params[name].shape) > 1) for name, draws in noise.items()}
            )
        },
        "the Laplacian is 3 % too large": lambda m, bridge: {"laplacian": lambda loss, x: 1.03 * m.laplacian(loss, x)},
        "half the draws": lambda m, bridge: {
            "noisy_loss": lambda loss, x, noise: m.noisy_loss(loss, x, noise[: noise.shape[0] // 2])
        },
    },
    control="tanh-mlp",
)
