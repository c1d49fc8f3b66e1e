"""What half precision leaves of each method: directions against exact ones, samples that are lost, and steps that fit.

Directions are those of the same numbers in float64, with the exact Hessian-vector product, in the same framework: the
agreement with the oracle says that they are right.
"""

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from equivalence.measure import FULL, HALF, computed_in, mixing
from equivalence.problem import Point, Problem
from equivalence.reference import known

CASES = ("digits-mlp", "digits-cnn", "bert")
DTYPES = (*HALF, *map(mixing, HALF))
COSINE = 0.99  # that VAT's default direction keeps, of every sample
DEFAULT, EXACT = "vat_perturbation", "vat_perturbation exact"
FIXED_STEP = "vat_perturbation finite_difference xi 0.01"  # the default of most published codes, or less
RADIUS = 1.0
STEPS = 10.0 ** np.arange(-7, 2)  # ξ of the sweep
SWEEP = "ξ"
SMALL = 0.01  # radius of a step of which the share of entries is counted that it moves


def virtual(**options: Any) -> Callable[[Any, Point], Any]:
    return lambda m, p: m.vat_perturbation(p.f, p.x, p.extra.start, radius=RADIUS, **options)


METHODS: dict[str, Callable[[Any, Point], Any]] = {  # names of usages where there is one
    "fgm": lambda m, p: m.fgm(p.loss, p.x, radius=RADIUS),
    "fgm raw": lambda m, p: m.fgm(p.loss, p.x, radius=RADIUS, norm="raw"),
    "pgd": lambda m, p: m.pgd(p.loss, p.x, 0 * p.x, radius=RADIUS, step=0.5, steps=3),
    "freelb_loss": lambda m, p: m.freelb_loss(p.loss, p.x, 0 * p.x, radius=RADIUS, step=0.5, steps=3)[1],
    DEFAULT: virtual(),
    EXACT: virtual(how="exact"),
    "vat_perturbation finite_difference": virtual(how="finite_difference"),
    FIXED_STEP: virtual(how="finite_difference", xi=0.01),
}
GRADIENTS: dict[str, Callable[[Any, Point], Any]] = {  # (B,), whose gradient in the parameters is what training has
    "input_gradient_penalty": lambda m, p: m.input_gradient_penalty(p.loss, p.x),
    "jacobian_penalty": lambda m, p: m.jacobian_penalty(p.f, p.x, probes=p.extra.class_probes),
    "tikhonov_penalty": lambda m, p: m.tikhonov_penalty("kl_divergence", p.f, p.x, probes=p.extra.class_probes),
    "vat_loss": lambda m, p: m.vat_loss(p.f, p.x, p.extra.start, radius=RADIUS),
}


def measure(
    bridge: ModuleType, methods: SimpleNamespace, device: str, case: str, dtype: str
) -> dict[str, dict[str, Any]]:
    """By method the cosine of each sample's direction with the exact one, and the share that is lost; ξ as a sweep.

    Of a number that is differentiated, one cosine: that of its gradient in the parameters.
    """
    own = known(case, computed_in(dtype)).case
    problem, exact = (Problem(own, bridge, methods, each, device) for each in (dtype, "float64"))
    found: dict[str, dict[str, Any]] = {SWEEP: sweep(problem, exact)}
    if dtype in FULL:
        return found
    given, wanted = (each.compile(directions(each, computed_in(dtype)), sweep=False)() for each in (problem, exact))
    for name in METHODS:
        found[name] = compared(given[name], wanted[EXACT if name.startswith(DEFAULT) else name])
    found["fgm"]["moved"] = float((given["moved"] != given["x"]).mean())
    calls = {name: lambda p, call=call: call(methods, p) for name, call in GRADIENTS.items()}
    gradients = [each.program(calls)(each) for each in (problem, exact)]
    return found | {name: compared(*(each[name][1][None] for each in gradients)) for name in GRADIENTS}


def directions(problem: Problem, dtype: str) -> Callable[[Point], dict[str, Any]]:
    """Every method's direction, and x before and after a small step along FGM's, as a model in the dtype gets it."""
    methods, bridge = problem.methods, problem.bridge

    def each(p: Point) -> dict[str, Any]:
        found = {name: call(methods, p) for name, call in METHODS.items()}
        moved = p.x + methods.fgm(p.loss, p.x, radius=SMALL)
        return found | {"x": bridge.cast(p.x, dtype), "moved": bridge.cast(moved, dtype)}

    return each


def sweep(problem: Problem, exact: Problem) -> dict[str, list[float]]:
    """The worst sample's cosine of a difference over ξ, for each ξ."""

    def difference(p: Point, xi: Any) -> Any:
        return problem.methods.vat_perturbation(p.f, p.x, p.extra.start, radius=RADIUS, how="finite_difference", xi=xi)

    right = exact.compile(lambda p: METHODS[EXACT](exact.methods, p), sweep=False)()
    run = problem.compile(difference)
    return {"xi": STEPS.tolist(), "cosines": [float(cosines(run(xi), right).min()) for xi in STEPS]}


def compared(given: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """Each sample's cosine, and which share has the direction 0 though there is one."""
    sizes = [np.abs(each.astype(float)).reshape(len(each), -1).max(1) for each in (given, right)]
    lost = (sizes[0] == 0) & (sizes[1] > 0)
    return {"cosines": cosines(given, right).tolist(), "lost": float(lost.mean())}


def cosines(given: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Of each sample, (B,); 0 where one of the two is 0."""
    rows = [each.astype(float).reshape(len(each), -1) for each in (given, right)]
    a, b = (each / np.maximum(np.abs(each).max(1, keepdims=True), 1e-300) for each in rows)
    return (a * b).sum(1) / np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-300)
