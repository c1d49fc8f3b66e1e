"""PyTorch: every operation as it is dispatched; compiled, those of the traced graph."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from bench.costs.passes import convolution

aten = torch.ops.aten
Shape = tuple[int, ...]


def work(function: Any, *arguments: Any, mode: str) -> int:
    """Multiply-adds of a call. torch.compile drops products that nobody reads, and does again what is there twice."""
    function = as_compiled(function, arguments) if mode == "compiled" else function
    with FlopCounterMode(display=False, custom_mapping=OWN) as counter:
        function(*arguments)
    return counter.get_total_flops() // 2


def as_compiled(function: Any, arguments: tuple[Any, ...]) -> Any:
    """The graph that torch.compile would get, without what nobody reads."""
    graph = make_fx(function)(*arguments)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def products(function: Any, *arguments: Any, mode: str) -> tuple[Callable[[], None], tuple[()]]:
    """What `work` counts, on the very arrays that the call has there."""
    function = as_compiled(function, arguments) if mode == "compiled" else function
    with Recorded() as recorded:
        function(*arguments)

    def run() -> None:
        with torch.no_grad():
            for call in recorded.calls:
                call()

    return run, ()


class Recorded(TorchDispatchMode):
    """Note the calls of the operations that are counted."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Callable[[], Any]] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        call = functools.partial(operation, *args, **(kwargs or {}))
        if operation._overloadpacket in flop_registry or operation._overloadpacket in OWN:
            self.calls.append(call)
        return call()


def vector_product(a: Shape, *rest: Any, **options: Any) -> int:
    """PyTorch leaves products with a vector out."""
    return 2 * torch.Size(a).numel()


def forward(
    x: Shape,
    kernel: Shape,
    bias: Shape,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    *rest: Any,
    out_shape: Shape,
) -> int:
    """PyTorch counts padding as numbers. A transposed convolution has its inputs where others have outputs."""
    wide, narrow = (out_shape, x) if transposed else (x, out_shape)
    axes = zip(wide[2:], kernel[2:], narrow[2:], stride, padding, dilation, strict=True)
    return 2 * convolution((x[0], *kernel[:2]), axes)


def backward(out: Shape, x: Shape, kernel: Shape, bias: Any, *rest: Any, out_shape: Any) -> int:
    """The inputs' gradient, the kernel's, or both, as the mask says."""
    *options, mask = rest
    return sum(mask[:2]) * forward(x, kernel, (), *options, out_shape=out)


OWN = {
    aten.convolution: forward,
    aten.convolution_backward: backward,
    aten.mv: vector_product,
    aten.dot: vector_product,
}
