"""The samplers' distributions, exactly known; and what probes of another variance do to Hutchinson's estimator."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import differs, every
from equivalence.parts.composed import each
from equivalence.parts.distributions import SHAPE, numbers, on_a_line, points, shaped, supports, tests
from equivalence.parts.seeds import SEEDS, by_array, by_number, every_bit, same

FEW, LINE, BATCH, ONE = (8, 3, 3), (2_000, 1), (6,), ()  # shapes
UNIFORM = [-(3**-0.5), 3**-0.5]  # Gauss–Legendre: moments of a number uniform in (-1, 1), up to the third


def measure(problem, reference):
    point = reference.point
    probes = np.repeat(every(UNIFORM, 3)[:, None], reference.case.batch, axis=1)  # (8, B, 3)
    estimate = problem.compile(lambda p, probes: problem.methods.jacobian_penalty(p.f, p.x, probes=probes), sweep=False)
    target = oracle.values.jacobian_penalty(point.f, point.x)
    yield "uniform probes differ", differs(estimate(probes) - target, -2 / 3 * target)
    yield from many(problem)
    yield from few(problem)


def many(problem):
    """So many draws that a distribution shows, in both precisions."""
    asked = (numbers, SHAPE), (points, SHAPE)
    drawing = by_array(problem, *asked)
    first, again, other = drawing(1), drawing(1), by_number(problem.in_dtype("float32"), 2, *asked)
    yield "same seed", same(together(first), together(again))
    for drawn, dtype in ((first, "float64"), (other, "float32")):
        yield shaped(together(drawn), SHAPE, dtype)
        yield from supports(together(drawn), dtype)
    yield from tests(together(first), together(other))


def few(problem):
    """A few numbers in every shape, with many seeds."""
    asked = (numbers, FEW), (points, FEW), (points, LINE), (numbers, BATCH), (numbers, ONE)
    found = [*map(by_array(problem, *asked), SEEDS)]
    for drawn, (_, shape) in zip(found[1], asked, strict=True):
        yield shaped(drawn, shape, "float64")
    yield from on_a_line(found[1][2])
    yield "same seed, a number or an array", same(found[1][3], *by_number(problem, SEEDS[1], (numbers, BATCH)))
    yield from every_bit([together(drawn[:2]) for drawn in found])


def together(drawn):
    """Draws of several samplers by name."""
    return {name: array for draws in drawn for name, array in draws.items()}


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
        "what should be dropped is kept": lambda m, bridge: {
            "dropout_mask": lambda seed, shape, *, rate, like: (
                m.dropout_mask(seed, shape, rate=1 - rate, like=like) * rate / (1 - rate)
            )
        },
    },
    control="softmax",
)
