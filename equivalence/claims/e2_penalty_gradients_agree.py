"""Three ways to the gradient of an input gradient penalty: two exact ones, and a difference to its order."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import ladder, order
from equivalence.parts import ways


def measure(problem, reference):
    for norm in ("l2_squared", "l2", "l1"):

        def way(how, m=problem.methods, norm=norm):
            return lambda p, xi=1.0: m.input_gradient_penalty(p.loss, p.x, norm=norm, how=how, xi=xi)

        exact = {how: way(how) for how in ("double_backward", "forward_over_reverse")}
        yield from ways.agree(problem, reference, norm, lambda m, p, way=way: way("double_backward", m)(p), exact)
        yield f"{norm} by differences", by_difference(problem, reference, norm, way("finite_difference"))


def by_difference(problem, reference, norm, penalty):
    """ξ times the error of value and ∇θ, so that rounding does not grow as ξ falls; N's slope is held fixed."""
    point, batch = reference.point, reference.case.batch
    gradient = point.loss.grad(point.x)
    slope = {"l2_squared": 2 * gradient, "l2": oracle.values.unit(gradient), "l1": np.sign(gradient)}[norm]
    direction, share = oracle.values.unit(slope), oracle.values.l2_norm(slope) / batch
    value = oracle.values.input_gradient_penalty(point.loss, point.x, norm=norm)

    def along(t):
        return reference.total(point.loss.vjp(point.x + t * direction, share))

    def residuals(steps):
        rows = problem.rows(penalty, [(xi,) for xi in steps])
        return steps[:, None] * (rows - np.append(value, oracle.derivative(along)))

    coefficient = np.append(np.zeros(batch), oracle.derivative(along, order=3) / 6)  # the value is exact
    return order(residuals, ladder(0, -10), ladder(-42, -43), 3, coefficient, scale=1.0)


CLAIM = Claim(
    id="E2",
    title="The gradient of a penalty on input gradients: two ways exactly, by a difference to second order",
    formula="∇θN(∇ₓℓ) = ∇θ⟨∇ₓℓ, d⟩, d = ∂N/∂g fixed = ∇θ(ℓ(x+ξu) - ℓ(x-ξu))‖d‖/2ξ + O(ξ²), u = d/‖d‖",
    source="Drucker & LeCun 1992; Pearlmutter 1994",
    methods=("input_gradient_penalty",),
    cases=("tanh-mlp",),
    measure=measure,
    wrong={
        "forward over reverse lacks the 2": ways.scaled("input_gradient_penalty", "forward_over_reverse", 0.5),
        "the difference is 3 % off": ways.scaled("input_gradient_penalty", "finite_difference", 1.03),
        "the step is doubled": lambda m, bridge: {
            "input_gradient_penalty": lambda loss, x, xi=0.01, **options: m.input_gradient_penalty(
                loss, x, xi=2 * xi, **options
            )
        },
    },
    control="tanh-mlp",
)
