"""Virtual adversarial training with entropy minimisation is the sum of the two, gradients flow through both."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import equal


def measure(problem, reference):
    methods, point, weight = problem.methods, reference.point, 0.75

    def virtual(**options):
        return lambda point: methods.vat_loss(point.f, point.x, point.extra.start, radius=1.0, **options)

    objectives = {
        "sum": virtual(entropy_weight=weight),
        "alone": virtual(),
        "entropy": lambda point: methods.entropy(point.f(point.x)),
    }
    found = problem.program(objectives)(problem)
    outputs, mean = point.f(point.x), np.full(reference.case.batch, 1 / reference.case.batch)
    entropy = oracle.values.entropy
    gradient = reference.total(point.f.vjp(point.x, entropy.vjp(outputs, mean)))
    for which, name, expected in ((0, "value", entropy(outputs)), (1, "θ-gradient", gradient)):
        total, alone, added = (found[objective][which] for objective in objectives)
        yield name, equal(total, alone + weight * added)
        yield f"entropy's {name}", equal(added, expected)


CLAIM = Claim(
    id="D8",
    title="Virtual adversarial training with entropy minimisation is the sum of the two losses",
    formula="vat_loss(entropy_weight=w) = vat_loss + w·entropy(f(x)), value and ∇θ",
    source="Miyato et al. 2018, §4.2; Grandvalet & Bengio 2005",
    methods=("vat_loss", "entropy"),
    cases=("tanh-mlp",),
    measure=measure,
    wrong={
        "the entropy is raised instead": lambda m, bridge: {
            "vat_loss": lambda f, x, start, entropy_weight=0.0, **options: (
                m.vat_loss(f, x, start, **options) - entropy_weight * m.entropy(f(x))
            )
        },
        "the entropy of the perturbed prediction": lambda m, bridge: {
            "vat_loss": lambda f, x, start, entropy_weight=0.0, **options: (
                m.vat_loss(f, x, start, **options)
                + entropy_weight * m.entropy(f(x + m.vat_perturbation(f, x, start, **options)))
            )
        },
        "the entropy is held fixed": lambda m, bridge: {
            "vat_loss": lambda f, x, start, entropy_weight=0.0, **options: (
                m.vat_loss(f, x, start, **options) + bridge.fixed(entropy_weight * m.entropy(f(x)))
            )
        },
    },
    control="tanh-mlp",
)
