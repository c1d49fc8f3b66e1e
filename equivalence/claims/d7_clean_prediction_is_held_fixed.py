"""Training on the divergence moves the perturbed prediction alone; what flows through the clean one is known too."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import differs, equal

OPTIONS = {"radius": 2.0}


def measure(problem, reference):
    methods, point = problem.methods, reference.point

    def held(point):
        return methods.vat_loss(point.f, point.x, point.extra.start, **OPTIONS)

    def not_held(point):
        r = methods.vat_perturbation(point.f, point.x, point.extra.start, **OPTIONS)
        return methods.kl_divergence(point.f(point.x), point.f(point.x + r))

    found = problem.program({"held": held, "not held": not_held})(problem)
    moved = point.x + oracle.values.vat_perturbation(point.f, point.x, point.extra.start, **OPTIONS)
    mean = np.full(reference.case.batch, 1 / reference.case.batch)
    bars = oracle.pullbacks.kl_divergence(point.f(point.x), point.f(moved))(mean)
    through_clean, through_perturbed = (
        reference.total(point.f.vjp(x, bar)) for x, bar in zip((point.x, moved), bars, strict=True)
    )
    values, gradients = zip(found["held"], found["not held"], strict=True)
    yield "θ-gradient", equal(gradients[0], through_perturbed)
    yield "same value", equal(*values, size=1.0)  # of the logarithms whose difference it is
    yield "not held differs", differs(gradients[1] - gradients[0], through_clean, np.abs(through_perturbed).max())


CLAIM = Claim(
    id="D7",
    title="Virtual adversarial training holds the clean prediction fixed; where it does not, ∇θ differs as predicted",
    formula="∇θ KL(p̂(x)‖p(x+r)) = Jθ(x+r)ᵀ(q - p); not held fixed, + Jθ(x)ᵀp⊙(ρ - Σpρ), ρ = log p - log q",
    source="Miyato et al. 2018, eq. 5-6, alg. 1",
    methods=("vat_loss", "vat_perturbation", "kl_divergence"),
    cases=("tanh-mlp", "reviews-text"),
    measure=measure,
    wrong={
        "the clean prediction is not held fixed": lambda m, bridge: {
            "vat_loss": lambda f, x, start, **options: m.kl_divergence(
                f(x), f(x + m.vat_perturbation(f, x, start, **options))
            )
        },
        "the perturbed prediction is held fixed instead": lambda m, bridge: {
            "vat_loss": lambda f, x, start, **options: m.kl_divergence(
                f(x), bridge.fixed(f(x + m.vat_perturbation(f, x, start, **options)))
            )
        },
        "the divergence holds its first argument fixed": lambda m, bridge: {
            "kl_divergence": lambda p, q: m.kl_divergence(bridge.fixed(p), q)
        },
    },
    control="tanh-mlp",
)
