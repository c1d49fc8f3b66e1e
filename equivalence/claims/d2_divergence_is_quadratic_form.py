"""The local distributional smoothness of a small r is half its quadratic form in the Fisher metric."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import ladder, order
from equivalence.parts.divergence import along, product, reversed_divergence

STEPS, TAIL = ladder(0, -10), ladder(-51, -52)


def measure(problem, reference):
    methods, point, extra = problem.methods, reference.point, reference.case.extra

    def divergences(point, radius, direction):
        given = methods.kl_divergence(problem.bridge.fixed(point.f(point.x)), point.f(point.x + radius * direction))
        return given, methods.vat_loss(point.f, point.x, point.extra.start, radius=radius)

    def part(which, direction):
        batch = reference.case.batch
        form = (direction * product(point, direction)).reshape(batch, -1).sum(1)

        def residuals(steps):
            return np.stack([run(radius, directions[0])[which] - 0.5 * radius**2 * form for radius in steps])

        coefficient = oracle.derivative(along(point, direction), order=3) / 6
        return order(residuals, STEPS, TAIL, 3, coefficient, scale=1.0)

    run = problem.compile(divergences)
    directions = (
        oracle.values.unit(extra["vector"]),
        oracle.values.vat_perturbation(point.f, point.x, extra["start"], radius=1.0),
    )
    yield "along a direction", part(0, directions[0])
    yield "virtual adversarial", part(1, directions[1])


CLAIM = Claim(
    id="D2",
    title="The divergence of a prediction from a neighbouring one is half a quadratic form in the Fisher metric",
    formula="KL(p(x)‖p(x+r)) = ½rᵀHr + O(‖r‖³), H = Jᵀ(diag p - ppᵀ)J, also at the virtual adversarial r",
    source="Miyato et al. 2018, eq. 7",
    methods=("kl_divergence", "vat_loss"),
    cases=("tanh-mlp", "logistic"),
    measure=measure,
    wrong={
        "the ½ is lost": lambda m, bridge: {"kl_divergence": lambda p, q: 2 * m.kl_divergence(p, q)},
        "the divergence is turned round": lambda m, bridge: {"kl_divergence": lambda p, q: m.kl_divergence(q, p)},
        "the perturbed side's divergence": reversed_divergence,
        "the radius is 1 % too long": lambda m, bridge: {
            "vat_loss": lambda f, x, start, radius, **options: m.vat_loss(f, x, start, radius=1.01 * radius, **options)
        },
    },
    control="tanh-mlp",
)
