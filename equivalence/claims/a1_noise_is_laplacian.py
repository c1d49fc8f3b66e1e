"""Noise on the input adds ½σ² times the loss's Laplacian. Expectations are sums over every noise vector."""

import math

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import NORMAL, SIGNS, SKEWED, every, ladder, order

STEPS, TAIL = ladder(1, -13), ladder(-27, -28)


def part(problem, reference, nodes, p):
    point = reference.low_dimensional()
    batch, n = point.x.shape
    noise = np.broadcast_to(every(nodes, n)[:, None], (len(nodes) ** n, batch, n))  # (K, B, n)

    def residual(point, sigma, noise):
        point = problem.low_dimensional(point)
        noisy = problem.methods.noisy_loss(point.loss, point.x, sigma * noise)
        return noisy - point.loss(point.x) - 0.5 * sigma**2 * problem.methods.laplacian(point.loss, point.x)

    def residuals(steps):
        values, gradients = problem.evaluate(residual, [(step, noise) for step in steps])
        return np.concatenate([values, gradients], axis=1)

    def noisy(t):  # the oracle's own noisy loss, whose p-th derivative in σ is the leading term
        arguments = (point.loss, point.x, t * noise)
        pulled = oracle.pullbacks.noisy_loss(*arguments)(np.full(batch, 1 / batch))
        return np.concatenate([oracle.values.noisy_loss(*arguments), reference.total(pulled)])

    coefficient = oracle.derivative(noisy, order=p, radius=0.05) / math.factorial(p)
    return order(residuals, STEPS, TAIL, p, coefficient, scale=float(np.linalg.norm(noisy(STEPS[0]))))


def measure(problem, reference):
    if reference.case.model != "linear":
        yield "signs", part(problem, reference, SIGNS, 4)
    else:  # where thousands of noise vectors are cheap, and not all is exact
        yield "normal noise", part(problem, reference, NORMAL, 4)
        yield "skewed noise differs", part(problem, reference, SKEWED, 3)  # mean 0, variance σ² are not enough


CLAIM = Claim(
    id="A1",
    title="Noise of variance σ² on the input adds ½σ² times the Laplacian of the loss",
    formula="E ℓ(x+σz) = ℓ + ½σ²Δℓ + O(σ⁴); O(σ³) where z is skewed",
    source="Su, 泛化性乱弹, eq. 3-6; Bishop 1995",
    methods=("noisy_loss", "laplacian"),
    cases=("quadratic", "softmax", "tanh-mlp", "digits-mlp"),
    measure=measure,
    wrong={
        "the ½ is dropped": lambda m, bridge: {"laplacian": lambda loss, x: 2 * m.laplacian(loss, x)},
        "noise of one sign": lambda m, bridge: {"noisy_loss": lambda loss, x, noise: m.noisy_loss(loss, x, abs(noise))},
    },
    control="tanh-mlp",
)
