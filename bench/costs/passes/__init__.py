"""Counted passes: the multiply-adds in matrix products and convolutions that a step really does, in each framework.

Time depends on the machine, work does not: what a step does beyond its floor shows here to the last multiply-add. One
counts where it joins two numbers that are there, and not padding or the zeros that the gradient of a strided
convolution puts between: then a pass, its gradient in the inputs and that in the weights take the same work in every
framework. Elementwise operations and sums are not counted.

Each framework's module has `work(function, *arguments, mode)`, and `products(function, *arguments, mode)`: a function
that computes those products and convolutions alone, and its arguments. Only one of them is imported in a process.
"""

import functools
import importlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import prod
from typing import Any

from bench.costs.cells import LOOP_MODES, TIMED, Cell
from bench.costs.methods import Passes
from bench.costs.prepare import prepare, problem, uncompiled
from bench.costs.workloads import build
from equivalence.cases import Case
from impls.frameworks import DESCRIBED


@dataclass(frozen=True)
class Operation:
    """One operation of a traced program. Its inputs and outputs are values, known by number."""

    key: Hashable  # equal keys on equal inputs give equal outputs
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    work: int = 0
    source: Any = field(default=None, compare=False)  # the framework's own operation


def optimised(operations: Iterable[Operation], results: Iterable[int]) -> list[Operation]:
    """What is left where a compiler drops what no result needs and computes once what is there twice."""
    same: dict[int, int] = {}
    kept: dict[Hashable, Operation] = {}
    for operation in operations:
        inputs = tuple(same.get(value, value) for value in operation.inputs)
        first = kept.setdefault((operation.key, inputs), operation)
        same |= zip(operation.outputs, first.outputs, strict=True)
    needed = {same.get(value, value) for value in results}
    left = []
    for operation in reversed(kept.values()):
        if not needed.isdisjoint(operation.outputs):
            needed.update(same.get(value, value) for value in operation.inputs)
            left.append(operation)
    return left[::-1]


def total(operations: Iterable[Operation]) -> int:
    """Multiply-adds."""
    return sum(operation.work for operation in operations)


def convolution(sizes: Sequence[int], windows: Iterable[tuple[int, ...]]) -> int:
    """Multiply-adds of a convolution: samples, channels out and channels in of each; what `pairs` takes, by axis."""
    return prod(sizes) * prod(pairs(*window) for window in windows)


@functools.cache
def pairs(inputs: int, kernel: int, outputs: int, stride: int, before: int, dilation: int = 1, spread: int = 1) -> int:
    """How often an output meets, at an entry of the kernel, an input that is there, along one axis.

    `before` is the padding; `dilation` is of the kernel, `spread` of the inputs.
    """
    places = (o * stride + k * dilation - before for o in range(outputs) for k in range(kernel))
    return sum(place % spread == 0 and 0 <= place // spread < inputs for place in places)


@dataclass(frozen=True)
class Works:
    """What `Passes` take on a workload, each measured by itself, in multiply-adds."""

    forward: int
    input_gradient: int
    backward: int
    first_layer: int
    last_layer: int

    def of(self, passes: Passes) -> int:
        return sum(asdict(self)[name] * count for name, count in asdict(passes).items())

    @property
    def plain(self) -> int:
        return self.forward + self.backward


def works(cell: Cell, case: Case | None = None) -> Works:
    """The passes of the cell's workload in its framework and mode."""
    p = problem(cell, case)
    params, *rest = p.arrays
    x, gradient = {"x": p.at(*p.arrays).x}, p.bridge.value_and_grad

    def loss_at(params: Any, x: Any, *rest: Any) -> Any:
        return p.at({name: params[name] for name in p.params}, *rest).loss(x["x"])

    forward = count(cell, lambda x, *arrays: p.at(*arrays).f(x["x"]), x, *p.arrays)
    both = count(cell, gradient(lambda x, params, *rest: loss_at(params, x, *rest)), x, params, *rest)
    plain = count(cell, gradient(lambda *arrays: (point := p.at(*arrays)).loss(point.x)), *p.arrays)
    held = count(cell, gradient(loss_at), params, x, *rest)
    free = count(cell, gradient(lambda free, *rest: loss_at(free, free, *rest)), params | x, *rest)
    last = [value for name, value in p.case.params.items() if name.endswith("weight")][-1]  # read once a sample
    return Works(forward, both - forward, plain - forward, free - held, p.case.batch * last.size)


def floor(cell: Cell, case: Case | None = None) -> float:
    """The least work of the cell's step, in plain steps of its workload."""
    least = TIMED[cell.method].least(case or build(cell.workload))
    found = works(replace(cell, method="plain"), case)
    return found.of(least) / found.plain


def counted(cell: Cell, case: Case | None = None) -> float:
    """The work of the cell's step as it is, in plain steps of its workload.

    Raises:
        ValueError: as for `work`.
    """
    return work(cell, case) / work(replace(cell, method="plain"), case)


def work(cell: Cell, case: Case | None = None) -> int:
    """Multiply-adds of the cell's step.

    Raises:
        ValueError: the method does not apply to the workload, or the step is Keras's.
    """
    if cell.mode in LOOP_MODES[cell.framework]:
        if not DESCRIBED[cell.framework].loops_are_graphs:
            raise ValueError(
                f"mode: got {cell.mode}, expected another: Keras's step decides in Python, no graph holds it"
            )
        return count(cell, prepare(cell, case).step)
    p = problem(cell, case)
    return count(cell, uncompiled(cell, p), *p.arrays)


def products(cell: Cell) -> Callable[[], Any]:
    """A call that computes the products and convolutions of the cell's step alone, in its framework and mode."""
    p = problem(cell)
    compute, arrays = counter(cell).products(uncompiled(cell, p), *p.arrays, mode=cell.mode)
    return lambda: p.bridge.synchronise(compute(*arrays))


def count(cell: Cell, function: Callable[..., Any], *arguments: Any) -> int:
    """Multiply-adds of a function in the cell's framework and mode."""
    return counter(cell).work(function, *arguments, mode=cell.mode)


def counter(cell: Cell) -> Any:
    """The module that counts in the cell's framework."""
    return importlib.import_module(f"bench.costs.passes.{cell.framework}")
