"""The samplers' distributions, exactly known; and what probes of another variance do to Hutchinson's estimator."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import differs, every
from equivalence.parts.composed import each
from equivalence.parts.samplers import few, in_half_precision, many

UNIFORM = [-(3**-0.5), 3**-0.5]  # Gauss–Legendre: moments of a number uniform in (-1, 1), up to the third


def measure(problem, reference):
    point = reference.point
    probes = np.repeat(every(UNIFORM, 3)[:, None], reference.case.batch, axis=1)  # (8, B, 3)
    estimate = problem.compile(lambda p, probes: problem.methods.jacobian_penalty(p.f, p.x, probes=probes), sweep=False)
    target = oracle.values.jacobian_penalty(point.f, point.x)
    yield "uniform probes differ", differs(estimate(probes) - target, -2 / 3 * target)
    yield from many(problem)
    yield from few(problem)
    yield from in_half_precision(problem)  # last: an implementation need not offer it


CLAIM = Claim(
    id="B3",
    title="The samplers draw what they say",
    formula="±1; normal; uniform in [0, 1), on the sphere, in balls (‖z‖ ~ U^{1/n}); masks. U(-1, 1)'s E ηηᵀ is I/3",
    source="Hutchinson 1990; Muller 1959; Voelker et al. 2017; Barthe et al. 2005",
    methods=("dropout_mask", "gaussian", "jacobian_penalty", "rademacher", "uniform", "uniform_ball", "uniform_sphere"),
    cases=("softmax",),
    measure=measure,
    wrong={
        "normal numbers in place of signs": lambda m, bridge: {"rademacher": m.gaussian},
        "the radius is uniform": lambda m, bridge: {
            "uniform_ball": lambda seed, shape, *, like, norm="l2": (
                m.uniform_ball(seed, shape, like=like, norm=norm)
                if norm != "l2"
                else (point := m.uniform_sphere(seed, shape, like=like))
                * each(m.uniform(seed + 9, shape[:1], like=like), point)
            )
        },
        "the cube's points, normalised": lambda m, bridge: {
            "uniform_sphere": lambda seed, shape, *, like: m.unit(m.uniform_ball(seed, shape, like=like, norm="linf"))
        },
        "the seed is ignored": lambda m, bridge: {
            "gaussian": lambda seed, shape, *, like: m.gaussian(0, shape, like=like)
        },
        "numbers of few bits are compared with the rate": lambda m, bridge: {
            "dropout_mask": lambda seed, shape, *, rate, like: m.dropout_mask(
                seed, shape, rate=rate if "64" in str(like.dtype) else np.ceil(rate * 256) / 256, like=like
            )
        },
        "what should be dropped is kept": lambda m, bridge: {
            "dropout_mask": lambda seed, shape, *, rate, like: (
                m.dropout_mask(seed, shape, rate=1 - rate, like=like) * rate / (1 - rate)
            )
        },
    },
    control="softmax",
)
