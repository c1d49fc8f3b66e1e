"""Entries of PyTorch, by family, and how its derivatives are written in a program of a few lines."""

PACKAGES = ("torch",)  # whose versions a record is about
# func: torch.func alone, where eager takes torch.autograd as far as it reaches. traced: the graph of make_fx, run as it
# is. compiled: the same graph by torch.compile, which takes minutes an entry, and is measured where it is asked for.
MODES = ("eager", "func", "traced", "vmap", "compiled")
DEFAULT_MODES = MODES[:-1]
LEFT_OUT = {"traced": ("F", "FR", "RF", "RFR", "RRF", "RFF")}  # compositions that a mode takes too long for
HEADER = "import numpy as np, torch\nimport torch.nn as nn, torch.nn.functional as F"
SCRIPT = {
    "start": "torch.set_default_dtype(torch.{dtype}); torch.manual_seed({seed})",
    "array": "torch.tensor({}, dtype=torch.{dtype})",
    "head": "torch.sin({}).sum()",
    "R": "R = lambda f: lambda *x: sum((g * e).sum() for g, e in zip(torch.func.grad(f, tuple(range(len(x))))(*x), d))",
    "autograd R": "R = lambda f: lambda *x: sum((g * e).sum() for g, e in"
    " zip(torch.autograd.grad(f(*x), x, create_graph=True), d))",
    "F": "J = lambda f: lambda *x: torch.func.jvp(f, x, d)[1]",
    "penalty": "P = lambda f: lambda *x: sum((g * g).sum() for g in torch.func.grad(f, tuple(range(len(x))))(*x))",
    "version": "torch.__version__",
    "eager": "{}(*x)",
    "func": "{}(*x)",
    "traced": "torch.fx.experimental.proxy_tensor.make_fx({})(*x)(*x)",
    "compiled": "torch.compile(torch.fx.experimental.proxy_tensor.make_fx({})(*x))(*x)",
    "vmap": "torch.func.vmap({})(*(torch.stack([a, a]) for a in x))[1]",
}
