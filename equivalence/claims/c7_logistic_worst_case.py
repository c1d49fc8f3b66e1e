"""Logistic regression against an adversary: its worst case in closed form, which FGM attains."""

import numpy as np

from equivalence import oracle
from equivalence.claim import Claim
from equivalence.measure import ROUNDING_UNIT, SIGNS, bound, equal, every

RADIUS, DUALS = 0.4, {"l2": 2, "linf": 1, "l1": np.inf}  # order of the dual norm
NORMAL = np.random.default_rng(0).standard_normal((200, 5))
POINTS = {  # of the unit balls: all corners, or points all around where there are none
    "l2": NORMAL / np.linalg.norm(NORMAL, axis=1, keepdims=True),
    "linf": every(SIGNS, 5),
    "l1": np.concatenate([np.eye(5), -np.eye(5)]),
}


def worst_case(reference, norm):
    """softplus(-y(w·x+b) + ε‖w‖_*) of each sample, and the θ-gradient of its mean."""
    case, weight, bias = reference.case, reference.case.params["weight"], reference.case.params["bias"]
    w, y = weight[1] - weight[0], 2 * case.labels - 1
    z = RADIUS * np.linalg.norm(w, DUALS[norm]) - y * (case.x @ w + bias[1] - bias[0])
    slope = 1 / (1 + np.exp(-z)) / len(y)
    w_bar = slope @ (RADIUS * oracle.values.steepest(w[None], norm=norm) - y[:, None] * case.x)  # ∂‖w‖_*/∂w
    params_bar = {"weight": np.outer([-1, 1], w_bar), "bias": slope @ y * np.array([1, -1])}
    return np.logaddexp(0, z), reference.total((None, params_bar))


def measure(problem, reference):
    def attacked(norm):
        return lambda p: p.loss(p.x + problem.methods.fgm(p.loss, p.x, radius=RADIUS, norm=norm))

    found = problem.program({norm: attacked(norm) for norm in DUALS})(problem)
    for norm in DUALS:
        (value, gradient), (worst, slope) = found[norm], worst_case(reference, norm)
        yield f"FGM attains it, {norm}", equal(value, worst)
        yield f"θ-gradient, {norm}", equal(gradient, slope)
        left = [worst - reference.point.loss(reference.point.x + RADIUS * r) for r in POINTS[norm]]
        slack = 64 * ROUNDING_UNIT["float64"] * worst.max()
        tightest = {} if norm == "l2" else {"tightest": slack}  # one of the corners attains it
        yield f"nothing is worse, {norm}", bound(np.array(left), 0.0, slack=slack, **tightest)


CLAIM = Claim(
    id="C7",
    title="The worst case of logistic regression is a margin smaller by ε‖w‖, which FGM attains",
    formula="max over ‖r‖ ≤ ε of softplus(-y(w·(x+r)+b)) = softplus(-y(w·x+b) + ε‖w‖_*), and so after ∇θ, r held fixed",
    source="Goodfellow et al. 2015, §5; 小样本利器2 (DSXiangLi)",
    methods=("fgm",),
    cases=("logistic",),
    measure=measure,
    wrong={
        "the radius is 3 % smaller": lambda m, bridge: {
            "fgm": lambda loss, x, radius, norm: m.fgm(loss, x, radius=0.97 * radius, norm=norm)
        },
        "downhill": lambda m, bridge: {"fgm": lambda loss, x, radius, norm: -m.fgm(loss, x, radius=radius, norm=norm)},
    },
    control="logistic",
)
