"""A penalty on the Jacobian row by row, all rows at once, and by every sign vector that could be drawn."""

import numpy as np

from equivalence.claim import Claim
from equivalence.measure import SIGNS, every
from equivalence.parts import ways


def measure(problem, reference):
    m, bridge, classes = problem.methods, problem.bridge, reference.case.extra["class_weights"].shape[1]
    signs = problem.array(np.broadcast_to(every(SIGNS, classes)[:, None], (2**classes, reference.case.batch, classes)))

    def by_rows(p):
        rows = [bridge.gradient(lambda x, row=row: p.f(x)[:, row], p.x) for row in range(classes)]
        return sum(p.extra.class_weights[:, row] * m.l2_norm(gradient) ** 2 for row, gradient in enumerate(rows))

    def jacobian(m, p, **probes):
        return m.jacobian_penalty(p.f, p.x, weights=p.extra.class_weights, **probes)

    def tikhonov(divergence):
        return lambda m, p, **probes: m.tikhonov_penalty(divergence, p.f, p.x, **probes)

    numbers = {"jacobian": jacobian} | {name: tikhonov(name) for name in ("squared_error", "kl_divergence")}
    for number, call in numbers.items():
        found = {"at once": lambda p, call=call: call(m, p), "by signs": lambda p, call=call: call(m, p, probes=signs)}
        found |= {"by rows": by_rows} if number == "jacobian" else {}
        yield from ways.agree(problem, reference, number, call, found)


CLAIM = Claim(
    id="E3",
    title="A penalty on the Jacobian is the same row by row, all rows at once, and averaged over all signs",
    formula="Σᵢ wᵢ‖∇fᵢ‖² by a loop over i = by vmap = 2⁻ᶜ Σ over η ∈ {±1}ᶜ of ‖Σᵢ ηᵢ√wᵢ∇fᵢ‖², value and ∇θ",
    source="Su, 泛化性乱弹, eq. 7-9; Hoffman et al. 2019",
    methods=("jacobian_penalty", "tikhonov_penalty", "l2_norm"),
    cases=("tanh-mlp",),
    measure=measure,
    wrong={
        "probes without the weights' root": lambda m, bridge: {
            "jacobian_penalty": lambda f, x, weights=None, probes=None: m.jacobian_penalty(
                f, x, weights=weights if probes is None else weights**2, probes=probes
            )
        },
        "by signs, logits stand for log-probabilities": lambda m, bridge: {
            "tikhonov_penalty": lambda divergence, f, x, probes=None: (
                m.tikhonov_penalty(divergence, f, x, probes=probes)
                if probes is None or divergence == "squared_error"
                else m.jacobian_penalty(f, x, probes=probes)
            )
        },
        "3 % are lost": lambda m, bridge: {
            "jacobian_penalty": lambda f, x, **options: 0.97 * m.jacobian_penalty(f, x, **options)
        },
    },
    control="tanh-mlp",
)
