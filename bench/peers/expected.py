"""What the jobs must give, by the oracle: no arm has a time before its result is right.

Attacks and the Laplacian are held against the oracle's result in units of rounding. An estimate of a trace is random:
it is held against the oracle's own, from other signs, within 6 standard errors of their difference. So is what an
iteration from a random start gives of an eigenvalue, which moreover is never larger than the eigenvalue itself.

Definitions that differ. ART's PGD moves into the box first and into the ball then (the L2 result differs, and lies in
both); torchattacks adds 1e-10 to the norm of the mean loss's gradient, plain loops do too, and foolbox takes norms of
at least 1e-12: far below a rounding unit of any gradient here.
"""

import hashlib
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.expected import KEPT, ROOT
from bench.peers import BOUNDS, TASKS, Attack, Eigenvalue, Job, Task, Trace
from bench.workloads import build
from equivalence import oracle
from equivalence.agreement import MOVEMENT, moved
from equivalence.cases import Case
from equivalence.judge import AGREEMENT_UNITS
from equivalence.measure import ROUNDING_UNIT
from equivalence.oracle import curvature
from equivalence.oracle.norms import project, steepest
from equivalence.problem import flat
from equivalence.reference import Reference

MOVES = 2
UNDETERMINED = 1e-3  # of an attack's components at most: where a derivative is 0 to rounding, so is its sign
SIGMAS = 6
ESTIMATES, STARTS = 100, 6  # of the oracle's, for mean and standard deviation
BASIS = 40  # of the oracle's Lanczos iteration for the eigenvalue itself
CONVERGED, ROUNDED = 5e-3, 1e-4  # of an eigenvalue: where iterations stop at the latest; what float32 leaves
UNIT = ROUNDING_UNIT["float32"]


@dataclass(frozen=True)
class Expected:
    """The oracle's result. `scale`: of an error, in rounding units; `spread`: standard deviation of a random result."""

    job: Job
    exact: np.ndarray
    scale: float = 0.0
    determined: np.ndarray | None = None
    spread: float = 0.0
    highest: float = np.inf

    def complaint(self, got: np.ndarray) -> str:
        """What is wrong with an arm's result; "" where it is right."""
        if got.shape != self.exact.shape:
            return f"got shape {got.shape}, expected {self.exact.shape}"
        if not np.isfinite(got).all():
            return "got NaN or infinity, expected finite numbers"
        if self.determined is None:
            slack = SIGMAS * self.spread
            low, high = float(self.exact) - slack, min(float(self.exact) + slack, self.highest)
            return "" if low <= got <= high else f"got {float(got):.6g}, expected {low:.6g} to {high:.6g}"
        units = float(np.abs((got - self.exact)[self.determined]).max() / (UNIT * self.scale))
        return "" if units <= AGREEMENT_UNITS else f"off by {units:.3g} rounding units, at most {AGREEMENT_UNITS}"


def expected(task: Task, case: Case, arm: str = "") -> Expected:
    """What the arm must give for a task on a case."""
    job, case = task.job, task.case(case)
    if isinstance(job, Trace):
        forms = estimates(FlatLoss(case), ESTIMATES)
        error = forms.std(ddof=1) * (1 / job.probes + 1 / ESTIMATES) ** 0.5
        return Expected(job, np.asarray(forms.mean()), spread=float(error))
    if isinstance(job, Eigenvalue):
        loss = FlatLoss(case)
        found = np.array([ritz(loss, job.how, job.products, seed) for seed in range(STARTS)])
        top = ritz(loss, "lanczos", BASIS, 0)
        spread = float(found.std(ddof=1) * (1 + 1 / STARTS) ** 0.5 + CONVERGED * top / SIGMAS)
        return Expected(job, np.asarray(found.mean()), spread=spread, highest=top * (1 + ROUNDED))
    if isinstance(job, Attack):
        return agreeing(job, case, lambda reference: ascent(reference.point, job, box_first=arm == "ART"), job.step)
    return agreeing(job, case, lambda reference: curvature.laplacian(reference.point.loss, reference.point.x), np.inf)


def of_all(task: str, workload: str) -> dict[str, Expected]:
    """By arm, where its definition is its own; "" stands for the others."""
    wanted, case = TASKS[task], build(workload)
    own = ("ART",) if isinstance(wanted.job, Attack) else ()
    return {arm: expected(wanted, case, arm) for arm in ("", *own)}


def kept(task: str, workload: str, path: str) -> None:
    """Write what the arms must give, from an earlier run of this very code where there was one."""
    file = KEPT / f"{task} {workload} {code()}.pickle"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f"{file.name}.{os.getpid()}")
        unfinished.write_bytes(pickle.dumps(of_all(task, workload)))
        unfinished.replace(file)
    shutil.copyfile(file, path)


@cache
def code() -> str:
    """Hash of the source that the results come from."""
    files = sorted(path for folder in ("equivalence", "bench/peers") for path in (ROOT / folder).rglob("*.py"))
    files += [ROOT / "bench" / "workloads.py"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def loaded(path: str) -> dict[str, Expected]:
    """What `kept` wrote: our own file, which nobody else hands over."""
    found: dict[str, Expected] = pickle.loads(Path(path).read_bytes())
    return found


def agreeing(job: Job, case: Case, result: Callable[[Reference], np.ndarray], jump: float) -> Expected:
    """The oracle's result with its condition, as in `equivalence.agreement`.

    A component that jumps by half of `jump`, where everything is moved by a few rounding units, is not determined.
    """
    reference, rng = Reference(case), np.random.default_rng(0)
    exact = result(reference)
    moves = np.max([np.abs(result(moved(reference, rng)) - exact) for _ in range(MOVES)], axis=0)
    determined = moves < jump / 2
    if (~determined).mean() > UNDETERMINED:
        raise ValueError(
            f"{case.name}: {(~determined).mean():.2%} of the result jumps with rounding, too much to judge"
        )
    return Expected(job, exact, float(np.abs(exact).max() + moves[determined].max() / MOVEMENT), determined)


def ascent(point: Any, job: Attack, box_first: bool) -> np.ndarray:
    """The adversarial inputs; the ball first and then the box, or the other way round."""
    x = adversarial = point.x
    for _ in range(job.steps):
        adversarial = adversarial + job.step * steepest(point.loss.grad(adversarial), norm=job.norm)
        if box_first:
            adversarial = np.clip(adversarial, *BOUNDS)
        adversarial = np.clip(x + project(adversarial - x, radius=job.radius, norm=job.norm), *BOUNDS)
    return adversarial


class FlatLoss:
    """The mean loss as a function of all parameters by sorted name, (1, P) -> (1,), for the oracle's curvature."""

    def __init__(self, case: Case):
        self.of_params: oracle.OfParams = Reference(case).point.of_params  # type: ignore[assignment]
        self.params, self.batch = case.params, case.batch
        self.theta = flat(case.params)[None]

    def at(self, theta: np.ndarray) -> dict[str, np.ndarray]:
        ends = np.cumsum([self.params[name].size for name in sorted(self.params)])[:-1]
        parts = np.split(theta[0], ends)
        return {
            name: part.reshape(self.params[name].shape) for name, part in zip(sorted(self.params), parts, strict=True)
        }

    def vjp(self, theta: np.ndarray, cotangent: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        bar = self.of_params.vjp(self.at(theta), np.full(self.batch, cotangent[0] / self.batch))
        return flat(bar)[None], {}


def ritz(loss: FlatLoss, how: str, products: int, seed: int) -> float:
    """The eigenvalue that so many products give from a random start."""
    start = np.random.default_rng(seed).standard_normal(loss.theta.shape)
    return float(curvature.top_eigenpair(loss, loss.theta, start, steps=products - 1, how=how)[0][0])


def estimates(loss: FlatLoss, count: int) -> np.ndarray:
    """vᵀHv for so many vectors of signs, (count,)."""
    signs = np.random.default_rng(1).choice([-1.0, 1.0], (count, *loss.theta.shape))
    return np.array([(v * curvature.hvp(loss, loss.theta, v)).sum() for v in signs])


if __name__ == "__main__":
    from bench.peers import expected as this  # pickled under its own name, not as __main__

    this.kept(*sys.argv[1:])
