"""An adversarial direction and its opposite do alike: they differ by the odd term, which is of third order."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import ladder, order
from equivalence.parts.divergence import along, reversed_divergence

STEPS, TAIL = ladder(0, -10), ladder(-51, -52)


def measure(problem, reference):
    point, start = reference.point, reference.case.extra["start"]

    def difference(point, radius):
        starts = point.extra.start, -point.extra.start
        forth, back = (
            problem.methods.vat_loss(point.f, point.x, start, radius=radius, how="exact") for start in starts
        )
        return forth - back

    run = problem.compile(difference)
    direction = oracle.values.vat_perturbation(point.f, point.x, start, radius=1.0, how="exact")
    coefficient = oracle.derivative(along(point, direction), order=3) / 3
    yield (
        "difference",
        order(lambda steps: np.stack([run(radius) for radius in steps]), STEPS, TAIL, 3, coefficient, 1.0),
    )


CLAIM = Claim(
    id="D6",
    title="The virtual adversarial direction has no sign: d and -d do alike, to third order",
    formula="KL(p(x)‖p(x+εd)) - KL(p(x)‖p(x-εd)) = ⅓ε³ ∂³KL/∂d³ + O(ε⁵)",
    source="Miyato et al. 2018, §3.3",
    methods=("vat_loss",),
    cases=("tanh-mlp",),
    measure=measure,
    wrong={
        "the perturbed side's divergence": reversed_divergence,
        "the start is mixed into the direction": lambda m, bridge: {
            "vat_loss": lambda f, x, start, radius, **options: m.kl_divergence(
                bridge.fixed(f(x)),
                f(x + radius * m.unit(m.vat_perturbation(f, x, start, radius=1.0, **options) + 0.1 * abs(start))),
            )
        },
    },
    control="tanh-mlp",
)
