"""FGM's perturbation of a linear loss g·x attains the dual norm of g, however large or small g is."""

import numpy as np

from equivalence.claim import Claim
from equivalence.measure import equal, exact

RADIUS, DUALS = 0.3, {"l2": (2, 2), "linf": (np.inf, 1), "l1": (1, np.inf)}  # orders of the ball's norm, of its dual
DIRECTIONS = np.array([[0.7, -1.3, 2.1, 0.4, -0.9], [0, 0, -1, 0, 0], [2, -2, 1, 0, 2], [1, 1e-6, 0, -1e-3, 1]])
SCALES = {"float64": [1e-200, 1e-30, 1.0, 1e30, 1e200], "float32": [1e-30, 1e-10, 1.0, 1e10, 1e30]}


def measure(problem, reference):
    for dtype, scales in SCALES.items():
        g = np.concatenate([*(scale * DIRECTIONS for scale in scales), np.zeros((1, 5))])
        run = problem.in_dtype(dtype).compile(lambda _, *arrays: along_gradient(problem.methods, *arrays), sweep=False)
        for name, part in parts(np.array(scales), dtype, *run(g, np.ones((5, 1)))):
            yield f"{name}, {dtype}", part


def along_gradient(methods, g, ones):
    found = {p: methods.fgm(lambda x: ((x * g) @ ones)[:, 0], 0 * g, radius=RADIUS, norm=p) for p in DUALS}
    return found, {p: methods.steepest(g, norm=p) for p in DUALS}, methods.unit(g), methods.l2_norm(g)


def parts(scales, dtype, found, steepest, unit, length):
    directions = np.tile(DIRECTIONS, (len(scales), 1))  # in the place of g, where products could overflow
    for norm, (order, dual) in DUALS.items():
        r = found[norm][:-1].astype(float)
        attained = (directions * r).sum(1) / np.linalg.norm(directions, dual, axis=1)
        yield f"⟨g,r⟩ {norm}", equal(attained, np.array(RADIUS), dtype=dtype)
        yield f"‖r‖ {norm}", equal(np.linalg.norm(r, order, axis=1), np.array(RADIUS), dtype=dtype)
        yield f"steepest {norm}", equal(RADIUS * steepest[norm][:-1], r, dtype=dtype)
    yield "unit", equal(unit, steepest["l2"].astype(float), dtype=dtype)
    relative = length[:-1] / scales.repeat(len(DIRECTIONS)) / np.linalg.norm(directions, axis=1)
    yield "l2_norm", equal(relative, np.array(1.0), dtype=dtype)
    zeros = np.hstack([array[-1] for array in (*found.values(), *steepest.values(), unit, length)])
    yield "g = 0", exact(zeros, 1.0, dtype)


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
        "1e-12 is added to the norm": lambda m, bridge: {"unit": lambda x: x / (m.l2_norm(x)[:, None] + 1e-12)},
        "components that tie each get all": lambda m, bridge: {
            "steepest": lambda x, norm: m.steepest(m.steepest(x, norm=norm), norm="linf" if norm == "l1" else norm)
        },
    },
    control="softmax",
)
