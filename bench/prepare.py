"""From a cell to a callable training step. The timer and pytest-benchmark both use it; it times nothing itself."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

import impls
from bench.cells import METHODS, Cell
from bench.workloads import WORKLOADS
from equivalence.cases import Case
from equivalence.problem import Point, Problem, flat


@dataclass(frozen=True)
class Prepared:
    """A training step on fixed data: `step()` returns the framework's (values, gradients), perhaps not yet computed."""

    cell: Cell
    batch: int
    step: Callable[[], Any]
    bridge: ModuleType

    def synchronise(self, result: Any) -> None:
        """Wait until the result has been computed."""
        self.bridge.synchronise(result)

    def run(self) -> Any:
        """One step, computed: the next training step needs its gradients, so nothing overlaps it."""
        result = self.step()
        self.synchronise(result)
        return result

    def numpy(self, result: Any) -> tuple[np.ndarray, np.ndarray]:
        """Values (B,) and the gradient of their mean, all parameters by sorted name, (P,)."""
        values, gradients = result
        flattened = flat({name: self.bridge.to_numpy(gradient) for name, gradient in gradients.items()})
        return self.bridge.to_numpy(values), flattened


def prepare(cell: Cell, case: Case | None = None) -> Prepared:
    """The cell's step: loss, regulariser and the gradient in the parameters.

    Imports the cell's framework, one a process; `configure` its bridge before. `case` takes the workload's place.
    """
    bridge, methods = impls.load(cell.framework), impls.methods(cell.framework)
    case = case or WORKLOADS[cell.workload]()
    problem = Problem(case, bridge, methods, cell.dtype, cell.device)
    usage = METHODS[cell.method].usage

    def objective(params: dict[str, Any], data: dict[str, Any], extra: dict[str, Any]) -> Any:
        return usage.call(methods, at(problem, params, data, extra))

    run = bridge.compiled(bridge.value_and_grad(objective), cell.mode)
    arguments = problem.params, problem.data, vars(problem.extra)
    return Prepared(cell, case.batch, lambda: run(*arguments), bridge)


def at(problem: Problem, params: dict[str, Any], data: dict[str, Any], extra: dict[str, Any]) -> Point:
    """The problem's point with its arrays as arguments: as constants a compiler would compute with them beforehand."""
    fed = copy.copy(problem)
    fed.data, fed.extra = data, SimpleNamespace(**extra)
    return fed.at(params)
