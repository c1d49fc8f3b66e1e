"""PyTorch's bridge. `import torch` inside this folder means the framework: imports are absolute."""

import math

import numpy as np
import torch

from impls.torch.derivatives import being_traced, gradients, vjp, watch
from impls.torch.graphs import graph_of

MODES = ("eager", "compiled")
SWEEP_MODE = "eager"
ONCE_MODE = "eager"
COMPARED_MODES = ("eager", "traced")
INTEGERS = "int64"  # its own cross-entropy takes no other class numbers
TRACED_SEEDS = False  # a generator is seeded with a number
SETTINGS = {
    "": "eager",
    "computed arguments": "eager",
    "transposed memory": "eager",
    "traced": "traced",
    "traced numbers": "eager",
    "another precision": "eager",
}


def configure(*, threads, double):
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


def versions():
    return {"torch": torch.__version__}


def devices():
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def from_numpy(array, device="cpu"):
    return torch.from_numpy(np.array(array)).to(device)  # a copy: the two must not share memory


def to_numpy(array):
    array = array.detach().cpu()
    return (array.float() if array.dtype == torch.bfloat16 else array).numpy().copy()


def cast(array, dtype):
    return array.to(getattr(torch, dtype))


def finite(array):
    if being_traced() or torch._C._functorch.is_functorch_wrapped_tensor(array):
        return None
    # One number tells of all: a sum, which is read once, or where that overflows the largest, since NaN is the largest.
    return math.isfinite(abs(array.sum().item())) or math.isfinite(array.abs().max().item())


def transposed(array):
    backwards = tuple(reversed(range(array.ndim)))  # all axes: a view that joins any two of them is refused
    return array.permute(backwards).contiguous().permute(backwards)


def unsized(array, axis):
    return array  # sizes are always known


def span(array):
    return float(array.detach().min()), float(array.detach().max())


def fixed(array):
    return array.detach()


def gradient(function, x):
    values, pull = vjp(function, x)
    return pull(torch.ones_like(values))


def value_and_grad(objective):
    def step(params, *arrays):
        again = any(value.requires_grad for value in params.values())  # they are being differentiated themselves
        leaves = {name: watch(value) for name, value in params.items()}
        values = objective(leaves, *arrays)
        grads = gradients(values.mean(), leaves.values(), again)
        return values if again else values.detach(), dict(zip(leaves, grads, strict=True))

    return step


def values_and_grads(objective):
    def step(params, *arrays):
        again = any(value.requires_grad for value in params.values())
        leaves = {name: watch(value) for name, value in params.items()}
        results = objective(leaves, *arrays)
        grads = [gradients(values.mean(), leaves.values(), again, keep=True) for values in results]
        return [
            (values if again else values.detach(), dict(zip(leaves, own, strict=True)))
            for values, own in zip(results, grads, strict=True)
        ]

    return step


def compiled(step, mode):
    if mode == "eager":
        return step
    graphs = {}

    def run(*arguments):
        shapes = str(torch.utils._pytree.tree_map(lambda leaf: (tuple(leaf.shape), leaf.dtype), arguments))
        if shapes not in graphs:
            graphs[shapes] = traced(step, mode, arguments)
        return graphs[shapes](*arguments)

    return run


def traced(step, mode, arguments):
    """torch.compile refuses a double backward; the graph that make_fx traces has only forward operations left.

    In mode "traced" that graph runs as it is: the C++ code that torch.compile makes of it takes minutes to build.
    """
    if mode == "eager":
        return step
    graph = graph_of(step, arguments)
    return graph if mode == "traced" else torch.compile(graph)


def device_memory(device):
    return torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else float("nan")


def synchronise(tree):
    if torch.cuda.is_available():
        torch.cuda.synchronize()
