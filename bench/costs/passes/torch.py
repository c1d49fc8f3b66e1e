"""PyTorch: every operation as it is dispatched; compiled, those of the traced graph."""

from typing import Any

import torch
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.flop_counter import FlopCounterMode

from bench.costs.passes import convolution

aten = torch.ops.aten
Shape = tuple[int, ...]


def work(function: Any, *arguments: Any, mode: str) -> int:
    """Multiply-adds of a call. torch.compile drops products that nobody reads, and does again what is there twice."""
    if mode == "compiled":
        function = make_fx(function)(*arguments)
        function.graph.eliminate_dead_code()
        function.recompile()
    with FlopCounterMode(display=False, custom_mapping=OWN) as counter:
        function(*arguments)
    return counter.get_total_flops() // 2


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
