"""TensorFlow: the graph of the step, functions that it calls written out, as grappler leaves it."""

from collections.abc import Callable, Hashable, Sequence
from math import prod
from typing import Any

import numpy as np
import tensorflow as tf

from bench.costs.passes import Operation, convolution, optimised, total
from impls.tensorflow import traced

PRODUCTS = ("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum")
CONVOLUTIONS = ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")
NOTHING = ("Identity", "StopGradient", "PreventGradient")  # once the graph is there
CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def work(function: Any, *arguments: Any, mode: str) -> int:
    """Multiply-adds of a call; eager, of all that is called for, whether its result is needed or not."""
    return total(operations(function, arguments, mode))


def operations(function: Any, arguments: Any, mode: str) -> list[Operation]:
    """What a call runs; eager, all that is called for, whether its result is needed or not."""
    concrete = tf.function(function, autograph=False).get_concrete_function(*arguments)
    complete(concrete, tf.nest.flatten(arguments))
    program = Program(concrete.graph)
    return program.operations if mode == "eager" else program.left


def products(function: Any, *arguments: Any, mode: str) -> tuple[Callable[..., Any], list[Any]]:
    """What `work` counts, each on arrays of its own, in the mode."""
    sources = [operation.source for operation in operations(function, arguments, mode) if operation.work]
    arrays = [[drawn(tensor) for tensor in source.inputs if tensor.dtype.is_floating] for source in sources]

    def compute(*arrays: Any) -> Any:
        return [again(source, given) for source, given in zip(sources, arrays, strict=True)]

    return traced(compute, mode, arrays), arrays


def drawn(tensor: Any) -> Any:
    """A tensor of that shape and dtype."""
    return tf.cast(tf.constant(np.random.default_rng(0).standard_normal(tensor.shape)), tensor.dtype)


def again(operation: Any, arrays: Sequence[Any]) -> Any:
    """The operation on other arrays; an input that is none is the shape of what a convolution's gradient gives."""
    rest, size = iter(arrays), list(operation.outputs[0].shape)
    inputs = [next(rest) if tensor.dtype.is_floating else size for tensor in operation.inputs]
    first, *_ = arguments = operation.op_def.input_arg
    names = [argument.name for argument in arguments]
    given = {first.name: inputs} if first.number_attr else dict(zip(names, inputs, strict=True))
    implied = {attribute.name for attribute in operation.op_def.attr if attribute.type in ("type", "int")}
    named = {name for name in operation.node_def.attr if not name.startswith(("_", "grad_"))} - implied
    return getattr(tf.raw_ops, operation.type)(**given, **{name: operation.get_attr(name) for name in named})


def complete(concrete: Any, values: list[Any]) -> None:
    """Find out what sizes are known only when the graph runs: those of several gradients at once."""
    graph = concrete.graph
    products = [operation for operation in graph.get_operations() if operation.type in (*PRODUCTS, *CONVOLUTIONS)]
    tensors = {tensor.name: tensor for operation in products for tensor in (*operation.inputs, *operation.outputs)}
    unknown = [tensor for tensor in tensors.values() if not tensor.shape.is_fully_defined()]
    if unknown:
        with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
            values = [value.numpy() for value in (*values, *concrete.captured_inputs)]
            given = dict(zip([tensor.name for tensor in graph.inputs], values, strict=True))
            shapes = session.run([tf.shape(tensor) for tensor in unknown], given)
        for tensor, shape in zip(unknown, shapes, strict=True):
            tensor.set_shape(shape)


class Program:
    """Operations, in order, and which values they result in; what changes a state is a result as well."""

    def __init__(self, graph: Any):
        self.operations: list[Operation] = []
        self.numbers: dict[Hashable, int] = {}
        self.states: list[int] = []
        self.results = self.write(graph, [self.number(tensor.name) for tensor in graph.inputs])

    @property
    def left(self) -> list[Operation]:
        return optimised(self.operations, self.results + self.states)

    def number(self, thing: Hashable) -> int:
        """The number of a value: of what will be known by it."""
        return self.numbers.setdefault(thing, len(self.numbers))

    def write(self, graph: Any, arguments: Sequence[int]) -> list[int]:
        """Write out a graph on the values that it gets; those that it returns."""
        known = dict(zip([tensor.name for tensor in graph.inputs], arguments, strict=True))
        for operation in graph.get_operations():
            names = [tensor.name for tensor in operation.outputs]
            if all(name in known for name in names) and names:
                continue
            inputs = [known[tensor.name] for tensor in operation.inputs]
            if operation.type in NOTHING:
                outputs = inputs
            elif operation.type in CALLS:
                outputs = self.write(graph._get_function(operation.node_def.attr["f"].func.name).graph, inputs)
            else:
                outputs = self.add(operation, inputs)
            known |= zip(names, outputs, strict=False)
        return [known[tensor.name] for tensor in graph.outputs]

    def add(self, operation: Any, inputs: Sequence[int]) -> list[int]:
        """Write down one operation; the values that it gives."""
        outputs = [self.number(object()) for _ in operation.outputs]
        key: Hashable = operation.type, str(sorted(operation.node_def.attr.items()))
        if operation.op_def.is_stateful:
            self.states.append(self.number(object()))
            key, outputs = self.states[-1], [*outputs, self.states[-1]]
        self.operations.append(Operation(key, tuple(inputs), tuple(outputs), work_of(operation), operation))
        return outputs


def work_of(operation: Any) -> int:
    """Multiply-adds of one operation."""
    name = operation.type
    if name == "Einsum":
        letters = operation.get_attr("equation").decode().partition("->")[0].split(",")
        sizes = {
            letter: size
            for given, tensor in zip(letters, operation.inputs, strict=True)
            for letter, size in zip(given, tensor.shape, strict=True)
        }
        return prod(sizes.values()) if len(letters) > 1 else 0
    if name in PRODUCTS:
        a, out = operation.inputs[0].shape, operation.outputs[0].shape
        across = operation.get_attr("transpose_a" if name == "MatMul" else "adj_x")
        return prod(out) * a[-2 if across else -1]
    if name == "Conv2D":
        return convolved(operation, *operation.inputs, *operation.outputs)
    if name == "Conv2DBackpropInput":
        return convolved(operation, *operation.outputs, *operation.inputs[1:])
    if name == "Conv2DBackpropFilter":
        return convolved(operation, operation.inputs[0], operation.outputs[0], operation.inputs[2])
    if unknown := [name for value in operation.node_def.attr.values() if (name := value.func.name)]:
        raise ValueError(f"{name}: got {', '.join(unknown)} to run, expected to know how often it runs")
    return 0


def convolved(operation: Any, x: Any, kernel: Any, out: Any) -> int:
    """Count a convolution or one of its gradients, which do the same work; channels last, (H, W, I, O) kernels."""
    options = [operation.get_attr(name) for name in ("strides", "dilations")]
    axes = []
    for axis in (1, 2):
        inputs, size, outputs = x.shape[axis], kernel.shape[axis - 1], out.shape[axis]
        stride, dilation = (option[axis] for option in options)
        same = operation.get_attr("padding") == b"SAME"
        before = max(0, (outputs - 1) * stride + (size - 1) * dilation + 1 - inputs) // 2 if same else 0
        axes.append((inputs, size, outputs, stride, before, dilation))
    return convolution((out.shape[0], *kernel.shape[2:]), axes)
