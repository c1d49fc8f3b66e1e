"""Are the derivatives of this model right? Each against differences of what is one order below, and by every way.

The first derivative is held against differences of the losses. Once that is known, second derivatives are held against
differences of gradients, and what trains on second and third derivatives (gradients in the parameters of a penalty, of
a Laplacian) against differences of values that are made of first derivatives alone. So two ways that agree on a wrong
number do not pass.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from bench.check.differences import KNOTS, WEIGHTS, Settled, along, ladder
from bench.check.lines import Line
from bench.check.short_steps import limit
from equivalence.measure import ROUNDING_UNIT

RIGHT = 1e-6  # relative: differences leave 1e-8, a missing term leaves all of it
RIGHT_DIFFERENCE = 1e-3  # of a way that is itself a difference, by what its step leaves of kinks
MARGIN = 16  # times what differences may be wrong by
HOPELESS = 0.05  # relative uncertainty from which on differences decide nothing
LONGEST = 300  # characters of a message


@dataclass
class Row:
    """One derivative by one way.

    Args:
        what: the derivative, in words.
        way: how it is found.
        order: of the highest derivative in it.
        verdict: "right", "wrong", "zero", "raises", "undecided", or why it is none of this model's.
        found, expected: along the direction.
        off: relative.
        trusted: relative uncertainty of what is expected.
        own: whether it is the framework's own, that no method here relies on.
        method: of the methods, and how; or nothing.
        reason: what it raised.
    """

    what: str
    way: str
    order: int
    verdict: str = ""
    found: float = float("nan")
    expected: float = float("nan")
    off: float = float("nan")
    trusted: float = float("nan")
    own: bool = False
    method: str = ""
    reason: str = ""

    @property
    def bad(self) -> bool:
        """Whether it is silently another number."""
        return self.verdict in ("wrong", "zero")


class Derivatives:
    """The derivatives of one problem. What rows need in common is computed when it is first asked for."""

    def __init__(self, methods: SimpleNamespace, line: Line, *, quick: bool = True, coupled: bool = False):
        self.bridge, self.methods, self.line = line.bridge, methods, line
        self.steps, self.unit, self.coupled = ladder(line.computed, quick), ROUNDING_UNIT[line.computed], coupled
        self.known: dict[str, Any] = {}

    def rows(self) -> Iterator[Row]:
        """Every row, one after the other."""
        for name in ROWS:
            yield self.row(name)

    def row(self, name: str) -> Row:
        """One of ROWS."""
        what, way, order, options, measure = ROWS[name]
        row = Row(what, way, order, **options)
        if self.coupled and "finite difference" in name:
            row.verdict, row.reason = "not for this model", "samples share statistics, and it takes losses one by one"
            return row
        try:
            with warnings.catch_warnings(action="ignore"):  # a deprecation inside a framework is not its derivative
                found, expected, size = measure(self)
        except Exception as error:  # whatever it raises is the answer
            row.verdict, row.reason = "raises", f"{type(error).__name__}: {error}"[:LONGEST]
            return row
        return self.judged(row, np.asarray(found, float), expected, size)

    def judged(self, row: Row, found: np.ndarray, expected: Settled, size: float) -> Row:
        """The row with its verdict: off by more than differences can be wrong, or not."""
        scale = max(expected.size, size) or 1.0
        row.found, row.expected = (float(np.ravel(a).sum()) for a in (found, expected.value))
        row.trusted, row.off = expected.error / scale, float(np.linalg.norm(np.ravel(found - expected.value))) / scale
        least = RIGHT_DIFFERENCE if "difference" in row.way else RIGHT
        least = max(least, 1e4 * self.unit)
        if row.off <= min(max(least, MARGIN * row.trusted), HOPELESS) and row.trusted <= HOPELESS:
            row.verdict = "right"
        elif row.way == "finite difference" and np.isfinite(row.off) and row.trusted <= HOPELESS:
            self.judge_limit(row, expected, scale, max(least, MARGIN * row.trusted))
        elif not np.isfinite(row.off):
            row.verdict = "wrong"
        elif row.trusted > HOPELESS or row.off <= MARGIN * row.trusted:
            row.verdict = "undecided"
        else:
            row.verdict = "zero" if not np.any(found) and expected.size > 0 else "wrong"
        return row

    def judge_limit(self, row: Row, expected: Settled, scale: float, bound: float) -> None:
        """Whether a difference that is off is wrong, or its step is long, or rounding leaves too little of it."""
        found = limit(self.methods, self.line, self.unit)
        error, left = found.error / scale, abs(row.found - float(found.value)) / scale
        if error > HOPELESS:
            row.verdict = "undecided"
            row.reason = f"rounding in {self.line.computed} leaves it to {error:.0%} at the best of steps"
        elif abs(float(found.value - expected.value)) / scale > max(bound, MARGIN * error):
            row.verdict = "wrong"
        else:
            row.verdict = "right" if left <= HOPELESS else "undecided"
            row.reason = f"its usual step leaves an error of {left:.1%} here, xi={found.step:.1g} does not"

    # What is expected, by differences.

    def cached(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self.known:
            self.known[name] = make()
        return self.known[name]

    def along_u(self, what: str) -> Settled:
        """The derivative of the losses or of the gradient along u."""
        line, params, function = self.line, self.line.params_at(0.0), getattr(self.line, what)

        def moved(t: float) -> dict[str, Any]:
            return {what: function(params, line.at(t, line.u))}

        return self.cached(f"{what} along u", lambda: along(moved, self.steps, self.unit)[what])

    def along_signs(self) -> Settled:
        """The derivative of the gradient along the signs, which are as long as x is."""
        line, params = self.line, self.line.params_at(0.0)
        vector = (line.signs * self.length()).astype(line.signs.dtype)

        def moved(t: float) -> dict[str, Any]:
            return {"gradient": line.gradient(params, line.at(t, vector))}

        return self.cached("signs", lambda: along(moved, self.steps, self.unit)["gradient"])

    def form(self, params: Any) -> float:
        """Σ vᵀHv for the signs v, by a difference of gradients."""
        line, step = self.line, self.along_signs().step * self.length()
        total = sum(
            weight * line.gradient(params, line.at(knot * step, line.signs))
            for knot, weight in zip(KNOTS, WEIGHTS, strict=True)
        )
        return float((total * line.signs).sum() / step)

    def length(self) -> float:
        """The root mean square of x: signs are as long as if every number were 1."""
        return float(np.sqrt(np.square(self.line.x.astype(float)).mean())) or 1.0

    def in_params(self) -> dict[str, Settled]:
        """Derivatives along w of the mean of the losses, of the penalty and of the Laplacian."""
        line = self.line

        def moved(s: float) -> dict[str, Any]:
            params, rows = line.params_at(s), len(line.x)
            gradient = line.gradient(params, line.at())
            penalty = np.square(gradient.astype(float)).sum()
            losses = line.losses(params, line.at()).mean()
            return {"losses": losses, "penalty": penalty / rows, "laplacian": self.form(params) / rows}

        return self.cached("params", lambda: along(moved, self.steps, self.unit))

    # What is found, as (found, expected, the size of its terms).

    def first_in_x(self) -> tuple[Any, Settled, float]:
        gradient = self.line.gradient(self.line.params_at(0.0), self.line.at())
        terms = (gradient * self.line.u).astype(float)
        expected = self.along_u("losses")
        total = Settled(np.asarray(expected.value.sum()), expected.error)
        return terms.sum(), total, float(np.sqrt(np.square(terms).sum())) / 10

    def first_in_params(self) -> tuple[Any, Settled, float]:
        _, found, size = self.line.slope(lambda loss, x: loss(x))
        return found, self.in_params()["losses"], size / 10

    def own_second(self) -> tuple[Any, Settled, float]:
        bridge, u = self.bridge, self.line.array(self.line.u)

        def second(params: Any, x: Any) -> Any:
            return bridge.gradient(lambda x: first(params, x) * u, x)

        def first(params: Any, x: Any) -> Any:
            return bridge.gradient(lambda x: self.line.problem.losses(params, x), x)

        return self.vector(second)

    def hvp(self) -> tuple[Any, Settled, float]:
        u = self.line.array(self.line.u)
        return self.vector(lambda params, x: self.methods.hvp(self.loss(params), x, u))

    def vector(self, function: Callable[..., Any]) -> tuple[Any, Settled, float]:
        """Hu as a function gives it, and as differences of gradients do."""
        found = self.line.compiled(function)(self.line.params_at(0.0), self.line.at())
        return found, self.along_u("gradient"), self.least()

    def least(self) -> float:
        """A second derivative that is nothing beside what moves the gradient: linear models have none."""
        gradient = self.line.gradient(self.line.params_at(0.0), self.line.at())
        return 1e-6 * float(np.linalg.norm(gradient.astype(float)))

    def loss(self, params: Any) -> Callable[[Any], Any]:
        return lambda x: self.line.problem.losses(params, x)

    def laplacian(self, how: str) -> tuple[Any, Settled, float]:
        signs = self.line.array(self.line.signs[None])
        run = self.line.compiled(lambda params, x: self.methods.laplacian(self.loss(params), x, how=how, probes=signs))
        found = run(self.line.params_at(0.0), self.line.at())
        moved, length = self.along_signs(), self.length()
        signed = Settled(moved.value / length, moved.error / length)
        expected = Settled(np.asarray((signed.value * self.line.signs).sum()), signed.error * np.sqrt(self.line.x.size))
        size = float(np.linalg.norm(signed.value * self.line.signs)) / 10
        return found.sum(), expected, max(size, self.least())

    def penalty_slope(self, how: str) -> tuple[Any, Settled, float]:
        _, found, size = self.line.slope(lambda loss, x: self.methods.input_gradient_penalty(loss, x, how=how))
        return found, self.in_params()["penalty"], size / 10

    def laplacian_slope(self, how: str) -> tuple[Any, Settled, float]:
        signs = self.line.array(self.line.signs[None])
        _, found, size = self.line.slope(lambda loss, x: self.methods.laplacian(loss, x, how=how, probes=signs))
        return found, self.in_params()["laplacian"], size / 10

    def own_third(self) -> tuple[Any, Settled, float]:
        """The framework's own: reverse mode over reverse mode over reverse mode."""
        bridge, signs, per_row = self.bridge, self.line.array(self.line.signs), self.line.x[0].size

        def form(loss: Any, x: Any) -> Any:
            second = bridge.gradient(lambda x: bridge.gradient(loss, x) * signs, x)
            return second * (signs * per_row)  # of which the mean over all numbers is the mean over rows

        _, found, size = self.line.slope(form)
        return found, self.in_params()["laplacian"], size / 10


OWN = "the framework's own"
ROWS: dict[str, tuple[str, str, int, dict[str, Any], Callable[[Derivatives], tuple[Any, Settled, float]]]] = {
    "first in x": ("gradient in what is perturbed", "backward", 1, {"method": "fgm"}, Derivatives.first_in_x),
    "first in params": ("gradient in the parameters", "backward", 1, {"method": "plain"}, Derivatives.first_in_params),
    "hvp": ("Hessian times vector", "hvp", 2, {"method": "hvp"}, Derivatives.hvp),
    "own second": ("Hessian times vector", OWN, 2, {"own": True}, Derivatives.own_second),
    "laplacian, hvp": (
        "Laplacian", "hvp", 2, {"method": "laplacian, hvp"}, lambda self: self.laplacian("hvp"),
    ),
    "laplacian, forward": (
        "Laplacian", "forward", 2, {"method": "laplacian, forward"}, lambda self: self.laplacian("forward"),
    ),
    "penalty, double backward": (
        "penalty's gradient in the parameters", "double backward", 2,
        {"method": "gradient penalty, double backward"}, lambda self: self.penalty_slope("double_backward"),
    ),
    "penalty, forward over reverse": (
        "penalty's gradient in the parameters", "forward over reverse", 2,
        {"method": "gradient penalty, forward over reverse"}, lambda self: self.penalty_slope("forward_over_reverse"),
    ),
    "penalty, finite difference": (
        "penalty's gradient in the parameters", "finite difference", 2,
        {"method": "gradient penalty, finite difference"}, lambda self: self.penalty_slope("finite_difference"),
    ),
    "laplacian's gradient, hvp": (
        "Laplacian's gradient in the parameters", "hvp", 3,
        {"method": "laplacian training, hvp"}, lambda self: self.laplacian_slope("hvp"),
    ),
    "laplacian's gradient, forward": (
        "Laplacian's gradient in the parameters", "forward", 3,
        {"method": "laplacian training, forward"}, lambda self: self.laplacian_slope("forward"),
    ),
    "own third": ("Laplacian's gradient in the parameters", OWN, 3, {"own": True}, Derivatives.own_third),
}  # fmt: skip


def told(row: Row) -> dict[str, Any]:
    """A row as the report has it."""
    return asdict(row) | {"bad": row.bad}
