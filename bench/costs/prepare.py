"""From a cell to a callable training step. The timer and pytest-benchmark both use it; it times nothing itself."""

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

import impls
from bench.costs.cells import LOOP_MODES, METHODS, TIMED, Cell
from bench.costs.large import checked, sampled
from bench.costs.loops import Loop
from bench.costs.workloads import build
from equivalence.cases import Case
from equivalence.measure import HALF, computed_in
from equivalence.problem import Problem, flat


class Unsupported(ValueError):
    """There is no such step to be timed."""


@dataclass(frozen=True)
class Prepared:
    """A training step on fixed data; `trace` makes it, which is all that is left to do before it can be called."""

    cell: Cell
    batch: int
    trace: Callable[[], Callable[[], Any]]
    bridge: ModuleType

    @functools.cached_property
    def step(self) -> Callable[[], Any]:
        """Returns the framework's (values, gradients), perhaps not yet computed; compiled when called first."""
        return self.trace()

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


@dataclass(frozen=True)
class PreparedLoop(Prepared):
    """A step of `bench.costs.loops`, at rate 1 until its gradient has been read off the parameters, then at rate 0."""

    loop: Loop
    before: dict[str, np.ndarray]

    def numpy(self, result: Any) -> tuple[np.ndarray, np.ndarray]:
        """The objective, the mean of its values, (), and its gradient as the first step showed it."""
        after = self.loop.parameters()
        self.loop.rate(0.0)
        value = result[0] if isinstance(result, tuple) else result
        moved = {name: self.before[name].astype(np.float64) - after[name] for name in after}
        return self.bridge.to_numpy(value), flat(moved)


@dataclass(frozen=True)
class PreparedLarge(Prepared):
    """A step on more than the oracle can check, and what prepares the same step on what it can."""

    small: Callable[[], Prepared]

    def numpy(self, result: Any) -> tuple[np.ndarray, np.ndarray]:
        """Run the small step: its values and the chosen entries of its gradient."""
        values, gradients = self.small().run()
        chosen = sampled({name: self.bridge.to_numpy(gradient) for name, gradient in gradients.items()})
        return self.bridge.to_numpy(values), flat(chosen)


def prepare_loop(cell: Cell, case: Case) -> PreparedLoop:
    """The cell's step as its ecosystem writes it."""
    builder = importlib.import_module(f"bench.costs.loops.{cell.framework}")
    loop = builder.build(case, cell.mode, cell.method, cell.device)
    return PreparedLoop(cell, case.batch, lambda: loop.step, impls.load(cell.framework), loop, loop.parameters())


def built(cell: Cell) -> Case:
    """The cell's workload; in half precision of numbers that its dtype holds."""
    half = computed_in(cell.dtype)
    return build(cell.workload, half if half in HALF else "")


def problem(cell: Cell, case: Case | None = None) -> Problem:
    """The cell's workload in its framework, with the arrays that its method takes. `case` takes the workload's place.

    Raises:
        Unsupported: the method does not apply to the workload; the message says why.
    """
    method, case = TIMED[cell.method], case or built(cell)
    if reason := method.unsupported(case):
        raise Unsupported(f"{cell.method} on {case.name}: {reason}")
    bridge, methods = impls.load(cell.framework), impls.methods(cell.framework)
    return Problem(method.taken(case), bridge, methods, cell.dtype, cell.device)


def uncompiled(cell: Cell, problem: Problem) -> Callable[..., Any]:
    """The cell's step as a function of the problem's arrays: (values, gradients)."""
    usage = METHODS[cell.method].usage
    return problem.bridge.value_and_grad(lambda *arrays: usage.call(problem.methods, problem.at(*arrays)))


def prepare(cell: Cell, case: Case | None = None) -> Prepared:
    """The cell's step: loss, regulariser and the gradient in the parameters.

    Imports the cell's framework, one a process; `configure` its bridge before. `case` takes the workload's place.
    """
    case = case or built(cell)
    if cell.mode in LOOP_MODES[cell.framework]:
        return prepare_loop(cell, case)
    brought = problem(cell, case)

    def trace() -> Callable[[], Any]:
        run = brought.bridge.traced(uncompiled(cell, brought), cell.mode, brought.arrays)
        return lambda: run(*brought.arrays)

    small = checked(case)
    if small is case:
        return Prepared(cell, case.batch, trace, brought.bridge)
    return PreparedLarge(cell, case.batch, trace, brought.bridge, lambda: prepare(cell, small))
