"""At the virtual adversarial perturbation the divergence is ½ε²λ₁, and nowhere on the sphere is it larger."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import bound, every, ladder, order
from equivalence.parts.divergence import along, metric, reversed_divergence

STEPS, TAIL = ladder(-1, -9), ladder(-51, -52)
TURNS, RADIUS = 8, 2.0**-8
GRID = np.linspace(-1, 1, 6)  # of each coordinate


def measure(problem, reference):
    point = reference.point
    spectrum, basis = np.linalg.eigh(metric(point))
    found = basis[:, :, 0] + basis[:, :, -1]  # where the iteration is quick, whatever lies between

    def turned(point, start, radius):
        arguments, options = (point.f, point.x, start), {"how": "exact"}
        direction = problem.methods.vat_perturbation(*arguments, radius=1.0, **options)
        return direction, problem.methods.vat_loss(*arguments, radius=radius, **options)

    run = problem.compile(turned)
    for _ in range(TURNS):
        found, _ = run(found, 1.0)
    top = basis[:, :, -1] * np.sign((basis[:, :, -1] * found).sum(1, keepdims=True))
    coefficient = oracle.derivative(along(point, top), order=3) / 6

    def residuals(steps):
        return np.stack([run(found, radius)[1] - 0.5 * radius**2 * spectrum[:, -1] for radius in steps])

    yield "value", order(residuals, STEPS, TAIL, 3, coefficient, scale=1.0)
    sphere = oracle.values.unit(every(GRID, point.x.shape[1]))
    elsewhere = np.max([along(point, direction)(RADIUS) for direction in sphere], axis=0)
    better = np.max([along(point, sign * found)(RADIUS) for sign in (1, -1)], axis=0)  # no sign is preferred (D6)
    yield "maximum", bound(better / elsewhere, 1.0, tightest=1.05)


CLAIM = Claim(
    id="D5",
    title="The virtual adversarial divergence is half the top eigenvalue, and the largest on the sphere",
    formula="KL(p(x)‖p(x+εu₁)) = ½ε²λ₁ + O(ε³) = max over ‖r‖ = ε of KL(p(x)‖p(x+r)) + O(ε³)",
    source="Miyato et al. 2018, eq. 5, 10",
    methods=("vat_perturbation", "vat_loss"),
    cases=("tanh-mlp", "softmax"),
    measure=measure,
    wrong={
        "the divergence is turned round": reversed_divergence,
        "the start is mixed into the direction": lambda m, bridge: {
            "vat_perturbation": lambda f, x, start, radius, **options: (
                radius * m.unit(m.vat_perturbation(f, x, start, radius=1.0, **options) + 0.2 * abs(start))
            )
        },
    },
    control="tanh-mlp",
)
