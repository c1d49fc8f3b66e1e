"""What the steps must compute: values and gradients by the oracle, once a workload, for all frameworks and modes.

In a process of its own, best with one OpenBLAS thread: `python -m bench.expected WORKLOAD FILE.npz [METHOD ...]`.
"""

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.cells import TIMED
from bench.large import SampledReference, checked
from bench.workloads import DRAWN, WORKLOADS
from equivalence.agreement import MOVEMENT, expected_when_moved
from equivalence.agreement import expected as by_oracle
from equivalence.cases import Case
from equivalence.measure import ROUNDING_UNIT
from equivalence.reference import Reference
from equivalence.usages import Usage

PARTS = ("value", "gradient")
SAMPLES = 16  # that the condition is measured on: a Laplacian's takes the oracle long


def expected(workload: str, methods: Iterable[str], path: str | Path) -> None:
    """Write what the methods, and the plain step beside them, give on a workload."""
    write(WORKLOADS[workload](), methods, path)


def write(case: Case, methods: Iterable[str], path: str | Path) -> None:
    """Value, gradient and the scale of an error in each, for the methods and the plain step; of a large case a part."""
    small = checked(case)
    kind = Reference if small is case else SampledReference
    reference, few, arrays = kind(small), kind(first(small, SAMPLES)), {}
    for method in dict.fromkeys(["plain", *methods]):
        usage = TIMED[method].usage
        exact = by_oracle(usage, reference)
        of_few = exact if few.case.batch == small.batch else by_oracle(usage, few)
        for part, want, condition in zip(PARTS, exact, conditions(usage, few, of_few), strict=True):
            arrays[f"{method}/{part}"] = want
            arrays[f"{method}/{part} scale"] = np.abs(want).max() * (1 + condition)
    with Path(path).open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def conditions(usage: Usage, reference: Reference, exact: tuple[np.ndarray, np.ndarray]) -> list[float]:
    """How much value and gradient move, relative to their size and to the movement.

    One move shows it: the largest change among so many numbers hardly varies from move to move.
    """
    other = expected_when_moved(usage, reference, np.random.default_rng(0))
    return [np.abs(b - a).max() / np.abs(a).max() / MOVEMENT for a, b in zip(exact, other, strict=True)]


def first(case: Case, samples: int) -> Case:
    """The case with the first samples alone; arguments of the methods are (B, *S) or (K, B, *S)."""

    def cut(array: np.ndarray | None) -> np.ndarray | None:
        return None if array is None else array[:samples]

    extra = {name: array[:, :samples] if name in DRAWN else array[:samples] for name, array in case.extra.items()}
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
        return float(np.abs(got - want).max() / (ROUNDING_UNIT[dtype] * scale))


if __name__ == "__main__":
    expected(sys.argv[1], sys.argv[3:] or TIMED, sys.argv[2])
