"""Well-known packages beside ours: the same job on the same parameters, batch and dtype. Imports no framework.

A task is a job and the arms that do it, by framework: ours, a loop as people publish it, and packages, used as their
documentation says. What a package's own definition differs in stands in `bench.peers.expected_results`.
"""

import importlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.costs.expected_steps import first
from equivalence.cases import Case

OURS = {"torch": ("equireg eager", "equireg compiled"), "jax": ("equireg jit",)}
PACKAGES = {  # arm: distribution
    "foolbox": "foolbox",
    "torchattacks": "torchattacks",
    "ART": "adversarial-robustness-toolbox",
    "PyHessian": "pyhessian",
    "curvlinops": "curvlinops-for-pytorch",
    "matfree": "matfree",
    "traceax": "traceax",
    "folx": "folx",
}
UNSUPPORTED = {"jet-for-pytorch": "needs Python 3.12 or newer, and the suite runs from 3.11 on"}


@dataclass(frozen=True)
class Arm:
    """One way to do a job: `run()` returns the computed result, `numpy(result)` its numbers.

    `start`: of a power iteration, (1, P), the same in every run; the oracle must have it.
    """

    run: Callable[[], Any]
    numpy: Callable[[Any], np.ndarray]
    start: np.ndarray | None = None


@dataclass(frozen=True)
class Attack:
    """The adversarial inputs (B, *S) after gradient ascent from x itself, within BOUNDS; one whole step is FGM."""

    norm: str
    radius: float
    step: float
    steps: int


@dataclass(frozen=True)
class Trace:
    """Hutchinson's estimate, (), of the trace of the mean loss's Hessian in the parameters, from so many signs."""

    probes: int


@dataclass(frozen=True)
class Eigenvalue:
    """The Hessian's eigenvalue of largest magnitude, (), after so many Hessian-vector products from a random start."""

    how: str
    products: int


@dataclass(frozen=True)
class InputLaplacian:
    """The exact Laplacian of each sample's loss in its inputs, (B,), of the first samples of the batch."""

    samples: int


Job = Attack | Trace | Eigenvalue | InputLaplacian
BOUNDS = (0.0, 1.0)  # of a digit's pixels


@dataclass(frozen=True)
class Task:
    """A job and the arms beside ours, by framework."""

    name: str
    job: Job
    others: dict[str, tuple[str, ...]]
    workloads: tuple[str, ...]

    @property
    def thorough(self) -> "Task":
        """The task as it is checked: ten probes leave a trace so uncertain that half of it would pass."""
        return replace(self, job=Trace(10 * self.job.probes)) if isinstance(self.job, Trace) else self

    def case(self, case: Case) -> Case:
        """What the job takes of a workload."""
        return first(case, self.job.samples) if isinstance(self.job, InputLaplacian) else case

    def arms(self, framework: str) -> tuple[str, ...]:
        return OURS[framework] + self.others[framework] if framework in self.others else ()


ATTACKERS = {"torch": ("plain loop", "foolbox", "torchattacks", "ART"), "jax": ("plain loop",)}
FGM_L2 = {"torch": ("plain loop", "foolbox", "ART"), "jax": ("plain loop",)}  # torchattacks has FGSM alone
DIGITS = ("digits-cnn", "digits-mlp")

TASKS = {
    task.name: task
    for task in (
        Task("pgd-10 linf", Attack("linf", radius=0.3, step=0.05, steps=10), ATTACKERS, DIGITS),
        Task("pgd-10 l2", Attack("l2", radius=2.0, step=0.5, steps=10), ATTACKERS, DIGITS),
        Task("fgm linf", Attack("linf", radius=0.3, step=0.3, steps=1), ATTACKERS, DIGITS),
        Task("fgm l2", Attack("l2", radius=2.0, step=2.0, steps=1), FGM_L2, DIGITS),
        Task(
            "hessian trace",
            Trace(probes=10),
            {"torch": ("PyHessian", "curvlinops"), "jax": ("matfree", "traceax")},
            ("digits-cnn",),
        ),
        Task(
            "top eigenvalue by power iteration",
            Eigenvalue("power", products=20),
            {"torch": ("PyHessian",)},
            ("digits-cnn",),
        ),
        Task(
            "top eigenvalue by Lanczos",
            Eigenvalue("lanczos", products=20),
            {"torch": ("curvlinops",), "jax": ("matfree",)},
            ("digits-cnn",),
        ),
        Task("input laplacian", InputLaplacian(samples=16), {"jax": ("folx",)}, ("digits-mlp",)),
    )
}


def version(arm: str) -> str:
    """Package and version of an arm that is a package's; "" for ours and for a plain loop."""
    return f"{PACKAGES[arm]} {importlib.metadata.version(PACKAGES[arm])}" if arm in PACKAGES else ""


def build(task: Task, framework: str, arm: str, case: Case, device: str = "cpu") -> Arm:
    """The arm, ready to run. Imports the framework, one a process; `configure` its bridge before."""
    if arm in UNSUPPORTED:
        raise ValueError(f"arm: got {arm}, which is not supported: it {UNSUPPORTED[arm]}")
    if arm not in task.arms(framework):
        there = ", ".join(task.arms(framework)) or "none"
        raise ValueError(f"arm: got {arm!r}, expected one that {framework} has for {task.name}: {there}")
    case, ours = task.case(case), arm in OURS[framework]
    kind = "attacks" if isinstance(task.job, Attack) else "curvature"
    module = importlib.import_module("bench.peers.ours" if ours else f"bench.peers.{framework}_{kind}")
    if ours:
        return module.build(task.job, framework, arm.removeprefix("equireg "), case, device)
    return module.BUILDERS[arm](task.job, case, device)
