"""The parts of a PyTorch module as one pass calls them, each as a problem of its own.

A part is given what it was given in that pass. Its floating-point inputs are one vector x, (1, N); a smooth function of
its outputs stands for the loss, so that derivatives of every order go through it.
"""

import contextlib
import inspect
import sys

import torch
from torch.func import functional_call
from torch.overrides import TorchFunctionMode
from torch.utils import checkpoint

from equivalence.own_models import Part, Problem

ENDS = {"detach", "detach_", "item", "tolist", "numpy", "_set_grad_enabled", "data"}  # what a gradient does not pass
SHIFT = "its input"  # a parameter of every part: what is added to its inputs


def called(model, run, read, path):
    """The tree of calls of a pass: the model's, and beside it the loss that reads what it returns."""
    root = Part("the whole", "", lambda: None)
    stack, handles = [], []
    names = {module: name for name, module in model.named_modules()}

    def enter(module, args, kwargs):
        given = kept((args, kwargs))
        name = names[module] or type(model).__name__
        part = Part(
            name,
            type(module).__name__,
            lambda: isolated(module, *given),
            lambda: clues(module, *given, path),
            lambda size: mixes(module, *given, size),
            lambda: changes(module, *given),
        )
        (stack[-1] if stack else root).children.append(part)
        stack.append(part)

    def leave(module, args, output):
        stack.pop()

    for module in model.modules():
        handles.append(module.register_forward_pre_hook(enter, prepend=True, with_kwargs=True))
        handles.append(module.register_forward_hook(leave, always_call=True))
    try:
        with torch.no_grad():
            outputs = run()
    finally:
        for handle in handles:
            handle.remove()
    given = (Loss(read), (kept(outputs),), {})
    loss = Part("loss", "the loss function", lambda: isolated(*given), lambda: clues(*given, path))
    root.children.append(loss)
    return root


class Loss(torch.nn.Module):
    """The loss as a part: a module of what the model returned."""

    def __init__(self, read):
        super().__init__()
        self.read = read

    def forward(self, outputs):
        return self.read(outputs).value


def kept(tree):
    """Copies of what a part was given."""
    return mapped(tree, lambda leaf: leaf.detach().clone())


def isolated(module, args, kwargs):
    """A part as a problem of its floating-point inputs and its parameters."""
    leaves = floating((args, kwargs))
    if not leaves:
        return None
    sizes = [leaf.numel() for leaf in leaves]
    x = torch.cat([leaf.reshape(-1) for leaf in leaves])[None]
    own = {name: value.detach() for name, value in module.named_parameters() if value.is_floating_point()}
    weights, sizes_of_outputs = torch.Generator().manual_seed(0), []

    def losses(params, x):
        shift = params[SHIFT]
        given = {name: value for name, value in params.items() if name != SHIFT}
        parts = (x[0] + shift).split(sizes)
        put = iter([part.reshape(leaf.shape).to(leaf.dtype) for part, leaf in zip(parts, leaves, strict=True)])
        now_args, now_kwargs = mapped((args, kwargs), lambda leaf: next(put) if leaf.is_floating_point() else leaf)
        outputs = repeat(module, given, now_args, now_kwargs, x)
        weights.manual_seed(0)
        total = 0
        leaves_out = floating(outputs)
        if not sizes_of_outputs:  # of the outputs as they were: a scale that followed them would be differentiated
            sizes_of_outputs.extend(1 + float(leaf.detach().abs().max()) for leaf in leaves_out)
        for leaf, scale in zip(leaves_out, sizes_of_outputs, strict=True):
            weight = torch.randn(leaf.shape, generator=weights, dtype=torch.float64).to(leaf.dtype)
            total = total + torch.sin(leaf / scale + weight).sum()
        return total.reshape(1)

    start = {SHIFT: torch.zeros_like(x[0]), **own}
    with torch.no_grad():
        losses(start, x)
    return Problem(losses, start, x)


def repeat(module, params, args, kwargs, x=None):
    """A call with copies of the buffers and the same random numbers."""
    with torch.random.fork_rng(devices=[]), without_checkpoints():
        torch.manual_seed(0)
        return functional_call(module, {**params, **fresh(module, x)}, args, kwargs, strict=False)


@contextlib.contextmanager
def without_checkpoints():
    """Within, activations of checkpointed parts are kept, which costs memory alone.

    A part would be computed again when a backward pass needs it, and by then `functional_call` has put the model's own
    parameters back. PyTorch has no public switch for it.
    """
    before = checkpoint._checkpoint_without_reentrant_generator
    checkpoint._checkpoint_without_reentrant_generator = lambda *args, **kwargs: iter([None])
    try:
        yield
    finally:
        checkpoint._checkpoint_without_reentrant_generator = before


def fresh(module, point):
    """Copies of the buffers, of which a pass may do as it likes; under a transform of torch.func part of its trace."""
    traced = point is not None and torch._C._functorch.is_functorch_wrapped_tensor(point)
    return {
        name: value + 0 * point.sum() if traced and is_computed_in(value.dtype) else value.detach().clone()
        for name, value in module.named_buffers()
    }


def is_computed_in(dtype):
    """Whether sums can be taken in a dtype: those of eight bits are for storage alone."""
    return dtype.is_floating_point and dtype.itemsize > 1


def mixes(module, args, kwargs, size):
    """Whether the first row of an output moves with other rows of the inputs."""
    leaves = floating((args, kwargs))
    if size < 2 or not leaves or any(not leaf.dim() or len(leaf) != size for leaf in leaves):
        return False
    others = mapped((args, kwargs), lambda leaf: moved(leaf) if leaf.is_floating_point() else leaf)
    with torch.no_grad():
        before, after = (floating(repeat(module, {}, *given)) for given in ((args, kwargs), others))
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if a.dim() and len(a) == size]
    return any(not torch.allclose(a[0], b[0], rtol=1e-3, atol=1e-6) for a, b in pairs)


def changes(module, args, kwargs):
    """Whether two calls differ, though inputs, buffers and random state are the same."""
    with torch.no_grad():
        first, second = (floating(repeat(module, {}, args, kwargs)) for _ in range(2))
    return any(not torch.equal(a, b) for a, b in zip(first, second, strict=True))


def moved(leaf):
    """Another batch around the first sample."""
    return torch.cat([leaf[:1], 1.5 * leaf[1:] + leaf[1:].std() + 0.1])


def floating(tree):
    """The floating-point tensors of a tree of tuples, lists and mappings, Hugging Face's outputs among them."""
    found = []
    mapped(tree, lambda leaf: found.append(leaf) if leaf.is_floating_point() else None)
    return found


def mapped(tree, change):
    if isinstance(tree, torch.Tensor):
        return change(tree)
    if isinstance(tree, dict) or (hasattr(tree, "items") and hasattr(tree, "keys")):
        parts = {key: mapped(part, change) for key, part in tree.items()}
        return (
            parts
            if type(tree) is dict
            else type(tree)(**parts)
            if all(isinstance(key, str) for key in parts)
            else parts
        )
    if isinstance(tree, (tuple, list)):
        parts = [mapped(part, change) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return tree


# What in a part may be behind it.


class Ends(TorchFunctionMode):
    """Notes what ends a gradient, with the line of the user's file that did it."""

    def __init__(self, path):
        super().__init__()
        self.path, self.found = path, []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        if name == "__get__":
            name = getattr(getattr(function, "__self__", None), "__name__", name)
        off = name != "_set_grad_enabled" or not args[0]
        if name in ENDS and off and (where := users_line(self.path)):
            words = "no_grad" if name == "_set_grad_enabled" else name
            self.found.append(f"{words} at {where} ends the gradient")
        return function(*args, **(kwargs or {}))


def users_line(path):
    """The innermost line of the user's file that is being run."""
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename == path:
            return f"line {frame.f_lineno}"
        frame = frame.f_back
    return ""


def clues(module, args, kwargs, path):
    """Custom functions, and what ends gradients, in one call of a part."""
    problem, ends = isolated(module, args, kwargs), Ends(path)
    if problem is None:
        return []
    x = problem.x.clone().requires_grad_()
    with torch.enable_grad(), contextlib.suppress(Exception), ends:
        total = problem.losses(problem.params, x)
    custom = []
    with contextlib.suppress(Exception):
        custom = [name for name in map(custom_function, nodes(total.grad_fn)) if name]
    place = source(type(module))
    return list(dict.fromkeys([*custom, *ends.found, *([f"its forward is at {place}"] if place else [])]))


def nodes(node):
    """The nodes of a graph, each once."""
    waiting, seen = [node], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        waiting += [after for after, _ in node.next_functions]


def custom_function(node):
    """A torch.autograd.Function's name and place; nothing for PyTorch's own nodes."""
    function = getattr(type(node), "_forward_cls", None)
    if function is None:
        return ""
    return f"{function.__name__} is a torch.autograd.Function of its own ({source(function)})"


def source(kind):
    """Where a class is written, as file and line, if it is not PyTorch's own."""
    if kind.__module__.startswith("torch."):
        return ""
    try:
        return f"{inspect.getsourcefile(kind).rpartition('/')[2]}:{inspect.getsourcelines(kind)[1]}"
    except (OSError, TypeError):
        return ""
