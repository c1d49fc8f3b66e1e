"""What the steps must compute: values and gradients by the oracle, once a workload, for all frameworks and modes.

In a process of its own, best with one OpenBLAS thread:
`python -m bench.costs.expected_steps WORKLOAD DTYPE FILE.npz [METHOD ...]`. What was computed is kept in a
folder and found again as long as the code that it came from is the same.
"""

import io
import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from bench.costs.cells import TIMED
from bench.costs.large import SampledReference, checked
from bench.costs.workloads import build, holds_draws, of_parameters
from bench.places import CACHE
from bench.records import files
from bench.records.source import digest
from equivalence.agreement import expected as by_oracle
from equivalence.agreement import sensitivity
from equivalence.cases import Case
from equivalence.judge import agreement_units
from equivalence.measure import HALF, ROUNDING_UNIT, computed_in, rounding_unit
from equivalence.reference import Reference
from equivalence.usages import Usage

Arrays = dict[str, np.ndarray]

KEPT = CACHE / "expected"
SOURCES = (
    "equivalence/*.py",
    "equivalence/oracle/*.py",
    "bench/costs/cells.py",
    "bench/costs/large.py",
    "bench/costs/methods.py",
    "bench/costs/workloads.py",
    "bench/costs/expected_steps.py",
)
PARTS = ("value", "gradient")


def expected(workload: str, methods: Iterable[str], path: str | Path, dtype: str = "float32") -> None:
    """Write what the methods, and the plain step beside them, give on a workload with numbers that the dtype holds."""
    arrays: Arrays = {}
    for method in dict.fromkeys(["plain", *methods]):
        arrays |= kept(workload, method, dtype)
    save(arrays, Path(path))


def write(case: Case, methods: Iterable[str], path: str | Path) -> None:
    """Compute what is expected of any case anew."""
    arrays: Arrays = {}
    for method in dict.fromkeys(["plain", *methods]):
        arrays |= computed(case, method)
    save(arrays, Path(path))


def save(arrays: Arrays, path: Path) -> None:
    """The arrays as a file that is whole or not there, whoever else writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = io.BytesIO()
    np.savez(written, **arrays)  # type: ignore[arg-type]
    files.replace(path, written.getvalue())


def kept(workload: str, method: str, dtype: str = "float32") -> Arrays:
    """What a method gives on a workload, from an earlier run of this very code where there was one."""
    half = computed_in(dtype) if computed_in(dtype) in HALF else ""
    name = f"{workload} {method} {half}".strip()
    path = KEPT / f"{name} {code()}.npz"
    if not path.exists():
        save(computed(build(workload, half), method, half), path)
        for stale in KEPT.glob(f"{name} {'?' * len(code())}.npz"):
            if stale != path:
                stale.unlink(missing_ok=True)
    with np.load(path) as arrays:
        return dict(arrays)


@cache
def code() -> str:
    """Hash of the source that the values come from, and of the version that computes them."""
    return digest(SOURCES, np.__version__)


def computed(case: Case, method: str, half: str = "") -> Arrays:
    """Value, gradient and the scale of an error in each, a part of a large case; nothing where none is timed.

    `half`: the dtype of half precision that is computed in, if one is.
    """
    if TIMED[method].unsupported(case):
        return {}
    small, usage, arrays = checked(case), TIMED[method].usage, {}
    reference = (Reference if small is case else SampledReference)(small)
    exact = by_oracle(usage, reference)
    for part, want, condition in zip(PARTS, exact, conditions(usage, reference, exact, half), strict=True):
        arrays[f"{method}/{part}"] = want
        arrays[f"{method}/{part} scale"] = np.abs(want).max() * (1 + condition)
    return arrays


def conditions(usage: Usage, reference: Reference, exact: tuple[np.ndarray, np.ndarray], half: str) -> list[float]:
    """How much value and gradient move, relative to their size and to the movement.

    It is that of all samples: the worst conditioned one is what is off the most. One move shows it: the largest change
    among so many numbers hardly varies from move to move. No workload is so small that it underflows: its condition is
    that of either precision.
    """
    moves = sensitivity(usage, reference, exact, np.random.default_rng(0), ROUNDING_UNIT[half or "float64"], times=1)
    return [move / np.abs(array).max() for move, array in zip(moves, exact, strict=True)]


def first(case: Case, samples: int) -> Case:
    """The case with the first samples alone."""

    def cut(array: np.ndarray | None) -> np.ndarray | None:
        return None if array is None else array[:samples]

    def cut_extra(name: str, array: np.ndarray) -> np.ndarray:
        if of_parameters(name):
            return array
        return array[:, :samples] if holds_draws(name) else array[:samples]

    extra = {name: cut_extra(name, array) for name, array in case.extra.items()}
    return replace(
        case, labels=case.labels[:samples], x=cut(case.x), tokens=cut(case.tokens), mask=cut(case.mask), extra=extra
    )


class Expected:
    """The file that `expected` wrote; a method's arrays are read when asked for."""

    def __init__(self, path: str | Path):
        self.arrays = np.load(path)

    def units(self, method: str, measured: tuple[np.ndarray, np.ndarray], dtype: str) -> float:
        """The largest error of value and gradient in rounding units x (size + condition); NaN stays NaN."""
        errors = [self.off(f"{method}/{part}", got, dtype) for part, got in zip(PARTS, measured, strict=True)]
        return float(np.max(errors))  # NumPy's keeps NaN

    def off(self, name: str, got: np.ndarray, dtype: str) -> float:
        want, scale = self.arrays[name], self.arrays[f"{name} scale"]
        want = want.mean() if got.shape == () else want  # a loop shows its objective alone
        if got.shape != want.shape:
            return float("inf")
        return float(np.abs(got - want).max() / (rounding_unit(dtype) * scale))


def off(method: str, units: float, dtype: str = "float32") -> str:
    """What is wrong with a step that is off by so much; "" where it is right."""
    most = agreement_units(rounding_unit(dtype))
    if units <= most:  # NaN is not
        return ""
    return f"the {method} step is off by {units:.3g} rounding units x condition, at most {most}"


if __name__ == "__main__":
    workload, dtype, path, *methods = sys.argv[1:]
    expected(workload, methods or TIMED, path, dtype)
