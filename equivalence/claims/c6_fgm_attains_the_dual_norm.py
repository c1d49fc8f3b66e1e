"""FGM's perturbation of a linear loss g·x attains the dual norm of g, however large or small g is."""

import numpy as np

from equivalence.cases import rounded
from equivalence.claim import Claim
from equivalence.measure import HALF, ROUNDING_UNIT, bound, equal, exact
from equivalence.parts.composed import each, sign, summed

RADIUS, DUALS = 0.3, {"l2": (2, 2), "linf": (np.inf, 1), "l1": (1, np.inf)}  # orders of the ball's norm, of its dual
DIRECTIONS = np.array([[0.7, -1.3, 2.1, 0.4, -0.9], [0, 0, -1, 0, 0], [2, -2, 1, 0, 2], [1, 1e-6, 0, -1e-3, 1]])
SCALES = {
    "float64": [1e-200, 1e-30, 1.0, 1e30, 1e200],
    "float32": [1e-30, 1e-10, 1.0, 1e10, 1e30],
    "bfloat16": [2.0**-100, 2.0**-40, 1.0, 2.0**40, 2.0**100],
    "float16": [2.0**-4, 1.0, 2.0**12],
}
LONG = np.full((1, 900), 300.0)  # squares pass float16's 65504; bfloat16 adds up 900 equal numbers to half of their sum


def measure(problem, reference):
    for dtype, scales in SCALES.items():
        directions = rounded(DIRECTIONS, dtype)
        g = np.concatenate([*(scale * directions for scale in scales), np.zeros((1, 5))])
        run = problem.in_dtype(dtype).compile(lambda _, *arrays: along_gradient(problem.methods, *arrays), sweep=False)
        for name, part in parts(np.array(scales), directions, dtype, *run(g, np.ones((5, 1)))):
            yield f"{name}, {dtype}", part
        if dtype in HALF:
            run = problem.in_dtype(dtype).compile(lambda _, x: problem.methods.l2_norm(x), sweep=False)
            off = abs(run(LONG).astype(float) / 9000 - 1)
            yield f"l2_norm of many, {dtype}", bound(-off, -4 * ROUNDING_UNIT[dtype])


def along_gradient(methods, g, ones):
    found = {p: methods.fgm(lambda x: ((x * g) @ ones)[:, 0], 0 * g, radius=RADIUS, norm=p) for p in DUALS}
    return found, {p: methods.steepest(g, norm=p) for p in DUALS}, methods.unit(g), methods.l2_norm(g)


def parts(scales, directions, dtype, found, steepest, unit, length):
    rows = len(directions)
    directions = np.tile(directions, (len(scales), 1))  # in the place of g, where products could overflow
    for norm, (order, dual) in DUALS.items():
        r = found[norm][:-1].astype(float)
        attained = (directions * r).sum(1) / np.linalg.norm(directions, dual, axis=1)
        yield f"⟨g,r⟩ {norm}", equal(attained, np.array(RADIUS), dtype=dtype)
        yield f"‖r‖ {norm}", equal(np.linalg.norm(r, order, axis=1), np.array(RADIUS), dtype=dtype)
        yield f"steepest {norm}", equal(RADIUS * steepest[norm][:-1].astype(float), r, dtype=dtype)
    yield "unit", equal(unit, steepest["l2"].astype(float), dtype=dtype)
    relative = length[:-1].astype(float) / scales.repeat(rows) / np.linalg.norm(directions, axis=1)
    yield "l2_norm", equal(relative, np.array(1.0), dtype=dtype)
    zeros = np.hstack([array[-1] for array in (*found.values(), *steepest.values(), unit, length)])
    yield "g = 0", exact(zeros, 1.0, dtype)


def summed_as_given(m, bridge):
    """Divide x by its norm first, so that nothing overflows and only the digits of the sum are lost."""

    def l2_norm(x):
        length = m.l2_norm(x)
        return length * summed((x / each(length + (1 - sign(m, length)), x)) ** 2) ** 0.5

    return {"l2_norm": l2_norm}


CLAIM = Claim(
    id="C6",
    title="FGM attains the dual norm of gradients of any size, and leaves a zero gradient alone",
    formula="⟨g,r⟩ = ε‖g‖_*, ‖r‖ = ε in the balls of ‖·‖₂, ‖·‖_∞, ‖·‖₁ with duals ‖·‖₂, ‖·‖₁, ‖·‖_∞; r = 0 where g = 0",
    source="Goodfellow et al. 2015; Miyato et al. 2017, eq. 5; Boyd & Vandenberghe 2004, A.1.6",
    methods=("fgm", "steepest", "unit", "l2_norm"),
    cases=("softmax",),
    measure=measure,
    wrong={
        "the radius is 3 % larger": lambda m, bridge: {
            "fgm": lambda loss, x, radius, norm: m.fgm(loss, x, radius=1.03 * radius, norm=norm)
        },
        "squares are added up in the input's dtype": summed_as_given,
        "1e-12 is added to the norm": lambda m, bridge: {"unit": lambda x: x / (m.l2_norm(x)[:, None] + 1e-12)},
        "components that tie each get all": lambda m, bridge: {
            "steepest": lambda x, norm: m.steepest(m.steepest(x, norm=norm), norm="linf" if norm == "l1" else norm)
        },
    },
    control="softmax",
)
