"""PyTorch's bridge. `import torch` inside this folder means the framework: imports are absolute."""

import numpy as np
import torch
from torch.fx.experimental.proxy_tensor import make_fx

MODES = ("eager", "compiled")
SWEEP_MODE = "eager"
ONCE_MODE = "eager"
COMPARED_MODES = ("eager", "traced")
TRACED_SEEDS = False  # a generator is seeded with a number
SETTINGS = {"": "eager", "computed arguments": "eager", "transposed memory": "eager", "traced": "traced"}


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
    return array.detach().cpu().numpy().copy()


def finite(array):
    traced = torch.compiler.is_compiling() or torch.fx.experimental.proxy_tensor.get_proxy_mode() is not None
    if traced or torch._C._functorch.is_functorch_wrapped_tensor(array):
        return None
    return bool(
        torch.isfinite(array.abs().max())
    )  # of one number: NaN is the largest; isfinite reads an array three times


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
    if torch._C._functorch.peek_interpreter_stack() is not None:  # under a transform of torch.func no tensor is a leaf
        return torch.func.grad(lambda x: function(x).sum())(x)
    leaf = _watched(x)
    return _gradients(function(leaf).sum(), [leaf], again=True)[0]


def value_and_grad(objective):
    def step(params, *arrays):
        again = any(value.requires_grad for value in params.values())  # they are being differentiated themselves
        leaves = {name: _watched(value) for name, value in params.items()}
        values = objective(leaves, *arrays)
        grads = _gradients(values.mean(), leaves.values(), again)
        return values if again else values.detach(), dict(zip(leaves, grads, strict=True))

    return step


def values_and_grads(objective):
    def step(params, *arrays):
        again = any(value.requires_grad for value in params.values())
        leaves = {name: _watched(value) for name, value in params.items()}
        results = objective(leaves, *arrays)
        grads = [_gradients(values.mean(), leaves.values(), again, keep=True) for values in results]
        return [
            (values if again else values.detach(), dict(zip(leaves, own, strict=True)))
            for values, own in zip(results, grads, strict=True)
        ]

    return step


def _watched(tensor):  # what is computed from another tensor is watched under a name of its own
    return tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()


def _gradients(total, tensors, again, keep=False):
    tensors = tuple(tensors)
    if not total.requires_grad:
        return tuple(map(torch.zeros_like, tensors))
    return torch.autograd.grad(total, tensors, create_graph=again, retain_graph=again or keep, materialize_grads=True)


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
    graph = make_fx(step)(*arguments)
    return graph if mode == "traced" else torch.compile(graph)


def device_memory(device):
    return torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else float("nan")


def synchronise(tree):
    if torch.cuda.is_available():
        torch.cuda.synchronize()
