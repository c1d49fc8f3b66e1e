"""PyTorch's derivatives, as its users nest them."""

import functools
import math

import numpy as np
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from equivalence.atlas.answers import ask
from equivalence.atlas.compositions import METRIC
from equivalence.atlas.torch import HEADER, MODES  # noqa: F401 - whoever measures asks for the modes here


def configure(threads):
    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float64)  # layers that entries make are in it


def function(entry, shapes, linear=False, total=False):
    """The entry as a number of one flat vector: a sum of sines of its outputs, or of these alone."""
    space = {}
    torch.manual_seed(entry.seed)
    exec(f"{HEADER}\n{entry.setup}", space)
    call = eval(f"lambda {', '.join(entry.inputs)}: {entry.call}", space)
    sizes = [math.prod(shape) for shape in shapes]

    def value(x):
        parts = [part.reshape(shape) for part, shape in zip(x.split(sizes), shapes, strict=True)]
        output = call(*parts).reshape(-1)
        if total:
            return output.sum()
        weighted = output * torch.linspace(0.5, 1.5, output.numel(), dtype=output.dtype)
        # A derivative that is quietly 0 has no graph, which torch.autograd would refuse: it gets one, of number 0.
        return weighted.sum() + 0 * x.pow(4).sum() if linear else weighted.sin().sum()

    return value


def operators(mode):
    return functools.partial(reverse, mode == "eager"), forward


def reverse(autograd, function, direction):
    return lambda x: (gradient(autograd, function, x) * direction).sum()


def forward(function, direction):
    return lambda x: torch.func.jvp(function, (x,), (direction,))[1]


def squared_gradient(function, mode):
    def squared(x):
        found = gradient(mode == "eager", function, x)
        return (found.square() * torch.linspace(*METRIC, len(found), dtype=found.dtype)).sum()

    return squared


def gradient(autograd, function, x):
    """By torch.autograd where no transform of torch.func is around it, else by torch.func."""
    if not autograd or torch._C._functorch.peek_interpreter_stack() is not None:
        return torch.func.grad(function)(x)
    x = x.view_as(x) if x.requires_grad else x.detach().requires_grad_()
    return torch.autograd.grad(function(x), x, create_graph=True)[0]


def values(function, dtype):
    def at(points):
        with torch.no_grad():
            return np.array([float(function(point)) for point in torch.tensor(points, dtype=getattr(torch, dtype))])

    return at


def run(derived, mode, x, triples, dtype):
    """What each derivative is at x along each triple of directions, or the error that it raised."""
    arguments = [[torch.tensor(np.asarray(each), dtype=getattr(torch, dtype)) for each in (x, *t)] for t in triples]
    return ask(derived, lambda derivative: in_mode(derivative, mode, arguments[0]), arguments)


def in_mode(derivative, mode, arguments):
    """The derivative as a mode runs it, traced with arguments where it traces."""
    if mode == "vmap":
        return mapped(derivative)
    if mode in ("traced", "compiled"):
        graph = make_fx(derivative)(*arguments)
        return graph if mode == "traced" else torch.compile(graph)
    return derivative


def mapped(derivative):
    def run(x, *rest):
        two = torch.stack([x + 0.05 * rest[0], x])  # the sample that is judged is not the first
        return torch.func.vmap(derivative, in_dims=(0, None, None, None))(two, *rest)[1]

    return run
