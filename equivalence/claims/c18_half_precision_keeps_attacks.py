"""FGM's direction in half precision: of certain samples, too, whose gradients are near the smallest number.

It is as good as the roundings of the network itself let it be, sample by sample (`equivalence.parts.half`).
"""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import HALF, bound
from equivalence.parts.half import allowed

MARGINS = (0.0, 14.0)  # added to the label's logit: at 14 the others have 1e-6 together, float16 begins at 6e-8


def attack(problem, dtype):
    """(margin) -> FGM's direction and raw gradient, of the loss with a margin added to the label's logits."""
    methods = problem.methods

    def both(point, margins):
        def loss(x):
            return methods.cross_entropy(point.f(x) + margins, point.labels)

        return [methods.fgm(loss, point.x, radius=1.0, norm=norm) for norm in ("l2", "raw")]

    return problem.in_dtype(dtype).compile(both, sweep=False)


def measure(problem, reference):
    point, case = reference.point, reference.case
    for dtype in HALF:
        run = attack(problem, dtype)
        for margin in MARGINS:
            margins = margin * np.eye(case.extra["class_weights"].shape[1])[case.labels]
            bar = oracle.pullbacks.cross_entropy(point.f(point.x) + margins, case.labels)(np.ones(case.batch))
            exact = point.f.vjp(point.x, bar)[0]
            direction, raw = (array.astype(float) for array in run(margins))
            length = oracle.values.l2_norm(raw) / oracle.values.l2_norm(exact)
            along = (oracle.values.unit(direction) * oracle.values.unit(exact)).reshape(case.batch, -1).sum(1)
            least, most = allowed(case, margins, exact, dtype)
            yield f"direction, margin {margin:g}, {dtype}", bound(along - least, 0.0)
            if margin == 0:  # else float16 has few digits of what is not scaled
                yield f"raw, {dtype}", bound(most - abs(length - 1), 0.0)


CLAIM = Claim(
    id="C18",
    title="In half precision FGM keeps its direction, of certain samples too",
    formula="cos(r, ∇ₓℓ) ≥ 1 - 8δ², also at 1 - p = 1e-6; δ²: what rounding leaves of |∇ₓℓ/‖∇ₓℓ‖| in the mean square",
    source="Micikevicius et al. 2018, §3.2: gradients of a scaled loss",
    methods=("fgm", "cross_entropy"),
    cases=("tanh-mlp", "digits-mlp"),
    measure=measure,
    wrong={
        "the gradient of the unscaled loss": lambda m, bridge: {
            "fgm": lambda loss, x, radius, norm="l2": radius * m.steepest(bridge.gradient(loss, x), norm=norm)
        },
        "the scale is not divided out": lambda m, bridge: {
            "fgm": lambda loss, x, radius, norm="l2": radius * m.steepest(2 * bridge.gradient(loss, x), norm=norm)
        },
    },
    control="tanh-mlp",
)
