"""Projected gradient ascent: where it may go, what one step is, and where it ends on a quadratic."""

import numpy as np

from equivalence.claim import Claim
from equivalence.measure import equal
from equivalence.parts.ascent import compiled, paths, projections, trust_region, variants


def measure(problem, reference):
    case, x, ways = reference.case, reference.case.x, variants(reference.case.x)
    a, g = case.params["A"], x @ case.params["A"] + case.params["b"]
    radius = np.linalg.norm(g, axis=1).min() / (
        4 * np.linalg.norm(a, 2)
    )  # λ ≥ 3‖A‖: a step leaves a third of the error
    ascend, far = compiled(problem, ways, radius), 40 * radius
    (one, _, fgm), projected = ascend(radius / 2, np.zeros((len(ways), *x.shape)))
    yield from projections(projected, radius)
    size = float(np.abs(x).max()) + far  # of what a step adds up, and a projection takes away
    clipped = [np.clip(x + r, *how.get("bounds", (None, None))) - x for r, how in zip(fgm, ways.values(), strict=True)]
    yield "one step from 0 is FGM", equal(one, np.stack(clipped), size)
    one, two, _ = ascend(far, np.stack([case.extra["start"]] * len(ways)))[0]
    yield "two steps are twice one", equal(two, ascend(far, one)[0][0], size)
    path = [one, two]
    for _ in range(17):
        path.append(ascend(far, path[-1])[0][1])
    yield from paths(np.stack(path), x, ways, radius, far)
    yield "trust-region optimum", equal(path[-1][0], trust_region(a, g, radius), size)


CLAIM = Claim(
    id="C8",
    title="PGD stays in the ball and the box at every step, starts as FGM, and ends at a quadratic's optimum",
    formula="‖rₖ‖ ≤ ε; r₁ = FGM(s) from r₀ = 0; on a quadratic r_∞ solves (λI - H)r = g, ‖r‖ = ε; ⟨z-p,p⟩ = ε‖z-p‖_*",
    source="Madry et al. 2018, eq. 2.2; Duchi et al. 2008; Conn, Gould & Toint 2000, §7.3",
    methods=("pgd", "fgm", "project"),
    cases=("quadratic",),
    measure=measure,
    wrong={
        "projected at the end only": lambda m, bridge: {
            "pgd": lambda loss, x, start, steps, **how: m.pgd(
                loss, x, start + (steps - 1) * m.fgm(loss, x + start, radius=how["step"]), steps=1, **how
            )
        },
        "onto the sphere": lambda m, bridge: {
            "pgd": lambda loss, x, start, radius, **options: (
                radius * m.unit(m.pgd(loss, x, start, radius=radius, **options))
            ),
            "project": lambda x, radius, norm: radius * m.steepest(x, norm=norm),
        },
        "the box is forgotten": lambda m, bridge: {
            "pgd": lambda loss, x, start, bounds=None, **options: m.pgd(loss, x, start, **options)
        },
    },
    control="quadratic",
)
