"""KL(p(x)‖p(x+r)) at r = 0: no value, no slope, and a curvature that is known in closed form."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import bound, equal
from equivalence.parts.divergence import close_beside_far, product


def measure(problem, reference):
    methods, point, extra = problem.methods, reference.point, reference.case.extra

    def expansion(point, vector):
        clean = problem.bridge.fixed(point.f(point.x))

        def divergence(r):
            return methods.kl_divergence(clean, point.f(point.x + r))

        zero = 0 * point.x
        slope = problem.bridge.gradient(divergence, zero)
        return divergence(zero), slope, methods.hvp(divergence, zero, vector)

    run = problem.compile(expansion)
    value, slope, curved = run(extra["vector"])
    _, _, other = run(extra["probes"][0])
    expected = product(point, extra["vector"])
    size = float(np.abs(oracle.values.jacobian(point.f, point.x)).max())
    yield "value", equal(value, np.zeros_like(value), 1.0)
    yield "gradient", equal(slope, np.zeros_like(slope), size)
    yield "Hessian", equal(curved, expected, size**2)
    apart = problem.compile(lambda point, p, q: methods.kl_divergence(p, q), sweep=False)
    yield "close, beside a class that is far", bound(-close_beside_far(apart), -1e-4)
    yield "Hessian along signs", equal(other, product(point, extra["probes"][0]), size**2)


CLAIM = Claim(
    id="D1",
    title="The divergence of a prediction from itself has value 0, gradient 0 and the Fisher metric as its Hessian",
    formula="KL(p(x)‖p(x+r)) at r = 0: value 0, gradient 0, Hessian Jᵀ(diag p - ppᵀ)J",
    source="Miyato et al. 2018, eq. 6-9",
    methods=("kl_divergence", "hvp"),
    cases=("tanh-mlp", "reviews-text"),
    measure=measure,
    wrong={
        "averaged over the classes": lambda m, bridge: {
            "kl_divergence": lambda p, q: m.kl_divergence(p, q) / p.shape[-1]
        },
        "the squared error of the logits": lambda m, bridge: {"kl_divergence": lambda p, q: m.squared_error(p, q) / 2},
    },
    control="tanh-mlp",
)
