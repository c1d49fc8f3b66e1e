"""What the jobs must give, by the oracle: no arm has a time before its result is right.

Attacks, power iteration and the Laplacian are held against the oracle's result in units of rounding; power iteration
from the arm's own start, since it is far from the eigenvalue after as many products as are timed. Lanczos is held
against the eigenvalue. An estimate of a trace is random: it is held against the oracle's own, from other signs, within
6 standard errors of their difference.

Definitions that differ. ART's PGD moves into the box first and into the ball then (the L2 result differs, and lies in
both); torchattacks adds 1e-10 to the norm of the mean loss's gradient, plain loops do too, foolbox takes norms of at
least 1e-12, and PyHessian adds 1e-6 to the norm of Hv: all below a few rounding units of what they are added to.
"""

import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.costs.workloads import build
from bench.peers import BOUNDS, TASKS, Arm, Attack, Eigenvalue, Task, Trace
from bench.running.kept import ORACLE, kept
from equivalence import oracle
from equivalence.agreement import MOVEMENT, moved
from equivalence.cases import Case
from equivalence.judge import AGREEMENT_UNITS
from equivalence.measure import ROUNDING_UNIT
from equivalence.oracle import curvature
from equivalence.oracle.norms import per_sample, project, steepest
from equivalence.problem import flat
from equivalence.reference import Reference

SOURCES = (*ORACLE, "bench/peers/**/*.py", "bench/costs/workloads.py")
UNDETERMINED = 0.5  # of the samples at most
SIGMAS = 6
ESTIMATES = 100  # of the oracle's, for mean and standard deviation
BASIS = 40  # of the oracle's Lanczos iteration for the eigenvalue itself
CONVERGED = 5e-3  # of an eigenvalue: where iterations stop at the latest
ROUNDING = AGREEMENT_UNITS * ROUNDING_UNIT["float32"]


@dataclass(frozen=True)
class Expected:
    """The oracle's result, and how far from it each component may be."""

    exact: np.ndarray
    slack: np.ndarray | float

    def complaint(self, got: np.ndarray) -> str:
        """What is wrong with an arm's result; "" where it is right."""
        if got.shape != self.exact.shape:
            return f"got shape {got.shape}, expected {self.exact.shape}"
        if not np.isfinite(got).all():
            return "got NaN or infinity, expected finite numbers"
        worst = float((np.abs(got - self.exact) / self.slack).max())
        return "" if worst <= 1 else f"off by {worst:.3g} times what it may be"


def expected(task: Task, case: Case, name: str, arm: Arm | None) -> Expected:
    """What the arm of that name must give for a task on a case; a power iteration's needs the arm itself."""
    job, case = task.job, task.case(case)
    if isinstance(job, Attack):
        return attacked(case, job, box_first=name == "ART")
    if isinstance(job, Trace):
        forms = estimates(FlatLoss(Reference(case)), ESTIMATES)
        error = forms.std(ddof=1) * (1 / job.probes + 1 / ESTIMATES) ** 0.5
        return Expected(np.asarray(forms.mean()), float(SIGMAS * error))
    if isinstance(job, Eigenvalue) and job.how == "lanczos":
        start = np.random.default_rng(0).standard_normal((1, flat(case.params).size))
        top = ritz(Reference(case), "lanczos", BASIS, start)
        return Expected(top, CONVERGED * float(abs(top)))
    if isinstance(job, Eigenvalue):
        own = arm.start if arm else None
        return agreeing(case, lambda reference: ritz(reference, job.how, job.products, own))
    return agreeing(case, lambda reference: curvature.laplacian(reference.point.loss, reference.point.x))


def known(name: str, workload: str, arm: str, built: Arm | None = None) -> Expected:
    """What the arm must give for the task of that name on a workload, from an earlier run of this very code if any."""
    start = b"" if built is None or built.start is None else np.asarray(built.start).tobytes()
    own = hashlib.sha256(start + (b"ART" if arm == "ART" else b"")).hexdigest()[:12]
    found: Expected = kept(
        f"{name} {workload} {own}", lambda: expected(TASKS[name], build(workload), arm, built), SOURCES
    )
    return found


def prepare(name: str, workload: str) -> None:
    """Compute what needs no arm, in the arms' place: it takes long."""
    job = TASKS[name].job
    if not (isinstance(job, Eigenvalue) and job.how == "power"):
        for arm in ("", "ART") if isinstance(job, Attack) else ("",):
            known(name, workload, arm)


def agreeing(case: Case, result: Callable[[Reference], np.ndarray]) -> Expected:
    """The oracle's result, to rounding: units are size + condition, as in `equivalence.agreement`."""
    reference = Reference(case)
    exact, other = result(reference), result(moved(reference, np.random.default_rng(0)))
    return Expected(exact, ROUNDING * float(np.abs(exact).max() + np.abs(other - exact).max() / MOVEMENT))


def attacked(case: Case, job: Attack, box_first: bool) -> Expected:
    """The adversarial inputs, to rounding in every sample whose signs are determined.

    Where a derivative is within rounding of 0 its sign is not, and one flipped sign changes the sample's later steps:
    of such a sample only the ball is asked for. A derivative that is 0 exactly has nothing to round.
    """
    reference = Reference(case)
    *before, exact = ascent(reference.point, job, box_first)
    *_, other = ascent(moved(reference, np.random.default_rng(0)).point, job, box_first)
    jumps = np.abs(other - exact).reshape(case.batch, -1).max(1)
    sure = np.ones(case.batch, bool)
    if job.norm == "linf":
        loss: Any = reference.point.loss
        sure = (jumps < job.step / 2) & np.all([signed(loss.grad(x)) for x in before], axis=0)
    if (~sure).mean() > UNDETERMINED:
        raise ValueError(
            f"{case.name}: signs of {(~sure).mean():.0%} of the samples are lost in rounding, at most half"
        )
    scale = np.abs(exact).max() + jumps[sure].max() / MOVEMENT
    return Expected(exact, per_sample(np.where(sure, ROUNDING * scale, 2 * job.radius), exact))


def signed(gradient: np.ndarray) -> np.ndarray:
    """Whether every sign of a sample's gradient is above its rounding, (B,)."""
    sizes = np.abs(gradient).reshape(len(gradient), -1)
    return ((sizes == 0) | (sizes > ROUNDING * sizes.max(1, keepdims=True))).all(1)


def ascent(point: Any, job: Attack, box_first: bool) -> Iterator[np.ndarray]:
    """The inputs before the first and after every step; the ball first and then the box, or the other way round."""
    x = adversarial = point.x
    yield x
    for _ in range(job.steps):
        adversarial = adversarial + job.step * steepest(point.loss.grad(adversarial), norm=job.norm)
        if box_first:
            adversarial = np.clip(adversarial, *BOUNDS)
        adversarial = np.clip(x + project(adversarial - x, radius=job.radius, norm=job.norm), *BOUNDS)
        yield adversarial


class FlatLoss:
    """The mean loss as a function of all parameters by sorted name, (1, P) -> (1,), for the oracle's curvature."""

    def __init__(self, reference: Reference):
        self.of_params: oracle.OfParams = reference.point.of_params  # type: ignore[assignment]
        self.params, self.batch = reference.case.params, reference.case.batch
        self.theta = flat(self.params)[None]

    def at(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        ends = np.cumsum([self.params[name].size for name in sorted(self.params)])[:-1]
        parts = np.split(theta[0], ends)
        return {
            name: part.reshape(self.params[name].shape) for name, part in zip(sorted(self.params), parts, strict=True)
        }

    def vjp(self, theta: np.ndarray, cotangent: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        bar = self.of_params.vjp(self.at(theta), np.full(self.batch, cotangent[0] / self.batch))
        return flat(bar)[None], {}


def ritz(reference: Reference, how: str, products: int, start: Any) -> np.ndarray:
    """The eigenvalue, (), that so many products give from a start (1, P)."""
    loss, start = FlatLoss(reference), np.asarray(start, np.float64)  # NumPy would take the step in float32's precision
    return curvature.top_eigenpair(loss, loss.theta, start, steps=products - 1, how=how)[0][0]


def estimates(loss: FlatLoss, count: int) -> np.ndarray:
    """vᵀHv for so many vectors of signs, (count,)."""
    signs = np.random.default_rng(1).choice([-1.0, 1.0], (count, *loss.theta.shape))
    return np.array([(v * curvature.hvp(loss, loss.theta, v)).sum() for v in signs])


if __name__ == "__main__":
    from bench.peers import expected_results as this  # pickled under its own name, not as __main__

    this.prepare(*sys.argv[1:])
