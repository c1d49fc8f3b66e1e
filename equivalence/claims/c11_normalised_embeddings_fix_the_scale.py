"""A radius means nothing until the table's scale is fixed: a network that makes its embeddings large is unmoved."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import differs, equal
from equivalence.parts.embedding import scaled, with_epsilon

RADIUS = 0.5
SCALES = 2.0 ** np.array([0, -3, 3, -60, 60])


def measure(problem, reference):
    point, case = reference.point, reference.case
    run = problem.compile(scaled(problem, RADIUS), sweep=False)
    tables, normalized, slopes, as_it_is = map(np.stack, zip(*map(run, SCALES), strict=True))  # (S, ...) each
    share = case.extra["frequencies"] / case.extra["frequencies"].sum()

    def loss(x, radius):
        return point.loss(x + oracle.values.fgm(point.loss, x, radius=radius))

    rows = oracle.values.normalize_embedding(point.table, case.extra["frequencies"])
    same = loss(oracle.embed(rows, case.tokens), RADIUS)
    shrunk = np.stack([loss(point.x, RADIUS / scale) for scale in SCALES])
    yield "mean 0", equal(share @ tables, np.zeros_like(tables[:, 0]), size=1.0)
    yield "variance 1", equal(share @ tables**2, np.ones_like(tables[:, 0]))
    yield "normalised: whatever the scale", equal(normalized, np.broadcast_to(same, normalized.shape))
    slopes = slopes * SCALES[:, None, None]  # of one size
    for way, term in (("scale", slopes * point.table), ("shift", slopes)):
        size = float(abs(term).sum(1).max())
        yield f"normalised: no gradient along the {way}", equal(term.sum(1), 0 * term[:, 0], size)
    yield "as it is: radius over scale", equal(as_it_is, shrunk)
    yield "as it is: not whatever the scale", differs(as_it_is[1:] - as_it_is[:1], shrunk[1:] - shrunk[:1], scale=1.0)


CLAIM = Claim(
    id="C11",
    title="Normalised by frequency, embeddings give a radius one meaning; otherwise a table's scale c divides it",
    formula="v̄ = (v - E v)/√Var v: ℓ(x̄+r) does not depend on c; otherwise ℓ_{c,W/c}(cx + r_ε) = ℓ_{1,W}(x + r_{ε/c})",
    source="Miyato et al. 2017, eq. 1-2",
    methods=("normalize_embedding", "perturb_output"),
    cases=("reviews-text",),
    measure=measure,
    wrong={
        "the frequencies are ignored": lambda m, bridge: {
            "normalize_embedding": lambda table, frequencies: m.normalize_embedding(table, 0 * frequencies + 1)
        },
        "1e-5 is added to the variance": lambda m, bridge: {
            "normalize_embedding": lambda table, frequencies: with_epsilon(table, frequencies[None], 1e-5)
        },
        "the radius is relative to the embeddings": lambda m, bridge: {
            "perturb_output": lambda loss, x, mask, **options: (
                m.l2_norm(x)[:, None, None] * m.perturb_output(loss, x, mask, **options)
            )
        },
    },
    control="reviews-text",
)
