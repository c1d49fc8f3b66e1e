"""Perturbing a table or its output is the same where no token repeats, and not where one does; padding stays put."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import differs, equal
from equivalence.parts.embedding import beside_padding, perturbations, summed, zero

RADIUS, NORMS = 0.5, ("raw", "l2")


def measure(problem, reference):
    point, tokens = reference.point, reference.case.tokens
    own = np.arange(tokens.size, dtype=np.int32).reshape(tokens.shape)  # a row for each position: no token repeats
    found = problem.compile(perturbations(problem, NORMS, RADIUS), sweep=False)(own, point.x.reshape(own.size, -1))
    gradient = point.loss.grad(point.x)
    shared = summed(gradient, tokens, len(point.table))
    for norm, (table, rows, output) in found.items():
        of_table, of_output = (
            RADIUS * oracle.values.steepest(each, norm=norm, scope="tensor") for each in (shared, gradient)
        )
        yield f"table, {norm}", equal(table, of_table)
        yield f"no token repeats, {norm}", equal(rows[own], output)
        yield f"output, {norm}", equal(output, of_output)
        yield f"a token repeats, {norm}", differs(table[tokens] - output, of_table[tokens] - of_output)
    leak = np.random.default_rng(0).standard_normal((1, point.x[0].size))
    first, second = problem.compile(beside_padding(problem, RADIUS), sweep=False)(leak)
    yield "padding", zero(np.stack([first, second])[:, reference.case.mask == 0])
    yield "whatever padding holds", equal(second, first)
    yield "beside padding", equal(first, oracle.values.fgm(point.loss, point.x, radius=RADIUS))


CLAIM = Claim(
    id="C10",
    title="Perturbing an embedding's table or its output is the same where no token repeats; padding stays as it is",
    formula="∂L/∂E_v = Σ_{t: token v} ∂L/∂x_t; r_E = r_x where no token repeats and the scope is the tensor",
    source="Su, 对抗训练浅谈; Miyato et al. 2017, eq. 5",
    methods=("perturb_table", "perturb_output"),
    cases=("reviews-text",),
    measure=measure,
    wrong={
        "each row of the table has its own norm": lambda m, bridge: {
            "perturb_table": lambda loss, table, *, radius, norm="l2": (
                radius * m.steepest(m.perturb_table(loss, table, radius=1.0, norm="raw"), norm=norm)
            )
        },
        "the mask is applied after the norm": lambda m, bridge: {
            "perturb_output": lambda loss, x, mask, **options: m.fgm(loss, x, **options) * mask[:, :, None]
        },
        "the table's gradient is that of the mean": lambda m, bridge: {
            "perturb_table": lambda loss, table, **options: m.perturb_table(
                lambda table: loss(table) / loss(table).shape[0], table, **options
            )
        },
    },
    control="reviews-text",
)
