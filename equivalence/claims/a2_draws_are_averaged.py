"""The mean over two draws of noise, by every pair that there is: unbiased, half the variance of one draw."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import SIGNS, enumerated, equal, every, ladder, order
from equivalence.parts.hutchinson import probes_of

STEPS, TAIL = ladder(-1, -14), ladder(-56, -57)


def measure(problem, reference):
    point, batch, sigma = reference.point, reference.case.batch, STEPS[0]
    n = point.x.shape[1]
    draws = probes_of(SIGNS, n, batch, copies=2)  # (2, M·B, n): pairs
    tiled = problem.tiled(4**n)

    def noisy(point, sigma, draws):
        return problem.methods.noisy_loss(point.loss, point.x, sigma * draws)

    values, gradients = tiled.evaluate(noisy, [(step, draws) for step in [*STEPS, *TAIL]])
    estimates = values.reshape(-1, 4**n, batch)
    moved = [point.x + sigma * z for z in every(SIGNS, n)]
    one = np.array([point.loss(x) for x in moved])  # every estimate from one draw, (K, B)
    yield "pairs", enumerated(estimates[0], one.mean(0), one.var(0) / 2)

    terms = np.array([reference.total(point.loss.vjp(x, sample)) for x in moved for sample in np.eye(batch)])
    yield "gradient", equal(gradients[0], terms.mean(0), size=abs(terms).max())

    leading = oracle.values.input_gradient_penalty(point.loss, point.x) / 2
    yield "leading variance", order(lambda steps: estimates.var(1), STEPS, TAIL, 2, leading, scale=1.0)


CLAIM = Claim(
    id="A2",
    title="The mean over k draws of noise is unbiased, with a variance of σ²‖g‖²/k to leading order",
    formula="E 1/k Σᵢ ℓ(x+σzᵢ) = E ℓ(x+σz); Var = Var ℓ(x+σz)/k = σ²‖g‖²/k + O(σ⁴)",
    source="Su, 泛化性乱弹, eq. 4",
    methods=("noisy_loss",),
    cases=("softmax", "tanh-mlp"),
    measure=measure,
    wrong={
        "one draw stands for all": lambda m, bridge: {
            "noisy_loss": lambda loss, x, noise: m.noisy_loss(loss, x, noise[:1])
        },
        "the noise is averaged, not the losses": lambda m, bridge: {
            "noisy_loss": lambda loss, x, noise: loss(x + sum(noise[k] / noise.shape[0] for k in range(noise.shape[0])))
        },
        "one sample's noise for the whole batch": lambda m, bridge: {
            "noisy_loss": lambda loss, x, noise: m.noisy_loss(loss, x, 0 * noise + noise[:, :1])
        },
        "the noise is 3 % too large": lambda m, bridge: {
            "noisy_loss": lambda loss, x, noise: m.noisy_loss(loss, x, 1.03 * noise)
        },
    },
    control="tanh-mlp",
)
