"""A small gradient in the parameters means a small one in the input: both pass through the first layer."""

import numpy as np

from equivalence.claim import Claim
from equivalence.measure import bound, equal
from equivalence.parts.parameter import sides
from equivalence.problem import flat


def measure(problem, reference):
    case, run = reference.case, sides(problem)
    room = 1 + np.linalg.norm(case.x.reshape(case.batch, -1), axis=1) ** 2  # 1 + ‖x‖²
    weight, bias = case.table, case.table.replace("weight", "bias")

    def measured(params):
        """σ, its exact value, and σ²‖∇θℓ‖² / (1+‖x‖²)‖∇ₓℓ‖² (B,), over all θ and over the first layer alone."""
        left, singular, _ = np.linalg.svd(params[weight], full_matrices=False)
        rows = case.batch * np.eye(case.batch)
        (penalty, sigma, _), *_ = found = [run(flat(params), row, left[:, 0]) for row in rows]
        squares = [{name: (slope**2).sum() for name, slope in slopes.items()} for *_, slopes in found]
        everything = np.array([sum(square.values()) for square in squares])
        first = np.array([square[weight] + square[bias] for square in squares])
        return sigma, singular[0], *(sigma**2 * each / (room * penalty) for each in (everything, first))

    sigma, exact, ratios, _ = measured(case.params)
    yield "σ", equal(sigma, np.asarray(exact))
    yield "bound", bound(ratios, 1.0)
    if np.less_equal(*case.params[weight].shape):  # rows can be orthogonal: then the first layer loses nothing
        rows = np.linalg.qr(case.params[weight].T)[0].T
        *_, attained = measured(case.params | {weight: 2 * rows})
        yield "attained", equal(attained, np.ones_like(attained))


CLAIM = Claim(
    id="C15",
    title="The gradient in the input is bounded by that in the parameters, whatever follows the first layer",
    formula="‖∇ₓℓ‖² ≤ σ₁(W₁)²/(1+‖x‖²)·‖∇θℓ‖²; equal over (W₁, b₁) where the rows of W₁ are orthogonal, of one length",
    source="Su, 输入梯度惩罚与参数梯度惩罚的一个不等式",
    methods=("input_gradient_penalty", "spectral_norm"),
    cases=("softmax", "tanh-mlp", "digits-mlp"),
    measure=measure,
    wrong={
        "the penalty is 3 % too small": lambda m, bridge: {
            "input_gradient_penalty": lambda loss, x, **options: 0.97 * m.input_gradient_penalty(loss, x, **options)
        },
        "the gradient is not squared": lambda m, bridge: {
            "input_gradient_penalty": lambda loss, x: m.input_gradient_penalty(loss, x, norm="l2")
        },
        "the Frobenius norm": lambda m, bridge: {
            "spectral_norm": lambda weight, u, **options: (m.l2_norm(weight[None])[0], u)
        },
    },
    control="softmax",
)
