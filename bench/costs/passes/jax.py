"""JAX: the traced program, functions that it calls written out, as XLA leaves it."""

from collections.abc import Callable, Hashable, Sequence
from math import prod
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from bench.costs.passes import Operation, convolution, optimised, total


def work(function: Any, *arguments: Any, mode: str) -> int:
    """Multiply-adds of a call; there is one mode."""
    return Program(jax.make_jaxpr(function)(*arguments)).work


def products(function: Any, *arguments: Any, mode: str) -> tuple[Callable[..., Any], list[Any]]:
    """What `work` counts, compiled as one, each on arrays of its own."""
    program = Program(jax.make_jaxpr(function)(*arguments))
    equations = [operation.source for operation in program.left if operation.work]
    device = jax.tree.leaves(arguments)[0].devices().pop()
    arrays = [[drawn(atom.aval, device) for atom in equation.invars] for equation in equations]

    @jax.jit
    def compute(*arrays: Any) -> Any:
        return [one.primitive.bind(*given, **one.params) for one, given in zip(equations, arrays, strict=True)]

    return compute, arrays


def drawn(aval: Any, device: Any) -> Any:
    """An array of that shape and dtype; integers are 0, which every index may be."""
    floating = jax.numpy.issubdtype(aval.dtype, jax.numpy.floating)
    numbers = np.random.default_rng(0).standard_normal(aval.shape) if floating else np.zeros(aval.shape)
    return jax.device_put(jax.numpy.asarray(numbers, aval.dtype), device)


class Program:
    """Operations, in order, and which values they result in."""

    def __init__(self, closed: ClosedJaxpr):
        self.operations: list[Operation] = []
        self.numbers: dict[Hashable, int] = {}
        self.results = self.write(closed, [self.number(variable) for variable in closed.jaxpr.invars])

    @property
    def left(self) -> list[Operation]:
        return optimised(self.operations, self.results)

    @property
    def work(self) -> int:
        return total(self.left)

    def number(self, thing: Hashable) -> int:
        """The number of a value: of a constant, or of what will be known by it."""
        return self.numbers.setdefault(thing, len(self.numbers))

    def write(self, closed: ClosedJaxpr, arguments: Sequence[int]) -> list[int]:
        """Write out a program on the values that it gets; those that it returns."""
        known = dict(zip(closed.jaxpr.invars, arguments, strict=True))
        known |= {
            name: self.number(id(value)) for name, value in zip(closed.jaxpr.constvars, closed.consts, strict=True)
        }

        def read(atom: Any) -> int:
            return self.number((str(atom.aval), str(atom.val))) if isinstance(atom, Literal) else known[atom]

        for equation in closed.jaxpr.eqns:
            inputs = [read(atom) for atom in equation.invars]
            name, called = equation.primitive.name, equation.params.get("call_jaxpr", equation.params.get("jaxpr"))
            if name == "stop_gradient":  # compiled, it is nothing
                outputs = inputs
            elif called is not None and name != "scan":
                outputs = self.write(called, inputs)
            else:
                outputs = [self.number(object()) for _ in equation.outvars]
                key = name, str(equation.params)
                self.operations.append(Operation(key, tuple(inputs), tuple(outputs), work_of(equation), equation))
            known |= zip(equation.outvars, outputs, strict=True)
        return [read(atom) for atom in closed.jaxpr.outvars]


def work_of(equation: Any) -> int:
    """Multiply-adds of one operation."""
    name, options = equation.primitive.name, equation.params
    shapes = [tuple(atom.aval.shape) for atom in (*equation.invars, *equation.outvars)]
    if name == "dot_general":
        (contracted, _), _ = options["dimension_numbers"]
        return prod(shapes[2]) * prod(shapes[0][axis] for axis in contracted)
    if name == "conv_general_dilated":
        return convolved(options, *shapes)
    if name == "scan":
        return options["length"] * Program(options["jaxpr"]).work
    if unknown := [inner for inner in programs(options) if Program(inner).work]:
        raise ValueError(
            f"{name}: got {len(unknown)} programs with products in them, expected to know how often they run"
        )
    return 0


def convolved(options: dict[str, Any], x: Sequence[int], kernel: Sequence[int], out: Sequence[int]) -> int:
    """Gradients of convolutions are convolutions too, with dilations and paddings of their own."""
    layout = options["dimension_numbers"]
    axes = zip(
        [x[axis] for axis in layout.lhs_spec[2:]],
        [kernel[axis] for axis in layout.rhs_spec[2:]],
        [out[axis] for axis in layout.out_spec[2:]],
        options["window_strides"],
        [before for before, _ in options["padding"]],
        options["rhs_dilation"],
        options["lhs_dilation"],
        strict=True,
    )
    samples, channels = (out[axis] for axis in layout.out_spec[:2])
    return convolution((samples, channels, kernel[layout.rhs_spec[1]]), axes)


def programs(options: dict[str, Any]) -> list[ClosedJaxpr]:
    """Yield the programs among an operation's options."""
    parts = [part for value in options.values() for part in (value if isinstance(value, tuple) else [value])]
    return [part for part in parts if isinstance(part, ClosedJaxpr)]
