"""Where a perturbation is added: a leaf of the model's inputs, a module's output or an embedding's table.

A site is a place, and knows nothing of a step. A `Shift` is what one pass adds at a site. Nothing is written into a
tensor: an input is exchanged on its way into the model, an output on its way out of a module, and a table is
exchanged for the sum of it and r in every module that holds it, for the time of a pass. So the graph of a pass keeps
what the pass saw, and may be differentiated at any later time.
"""

import contextlib
import sys

import torch
from torch.nn.utils import parametrize

from impls.torch import finite
from impls.torch.norms import l2_norm

WRAPPERS = ("_orig_mod.", "_checkpoint_wrapped_module.")  # what compiling and checkpointing put into names


class Shift:
    """What one pass adds at one site: r, or nothing.

    `leaf` is what the pass is differentiated with respect to, once it has been through the site. `norms` are those of
    what is there, a sample or of a table, where they are asked for.
    """

    def __init__(self, site, r=None, *, watched=False, measured=False):
        self.site, self.r, self.watched, self.measured, self.norms = site, r, watched, measured, None
        self.leaf, self.shape, self.like, self.calls = None, None, None, 0

    def add(self, x):
        """x + r in a new tensor, since what follows may work in place; x itself where there is nothing to do."""
        if self.r is None:
            self.site.check_values(x)
        self._check_shape(x)
        self.meet(x)
        r = self.r
        if self.watched:
            if r is None and not (x.requires_grad or x.is_inference()):
                self.leaf = x.detach().requires_grad_()
                return self.leaf.clone()  # as x + 0, with an array less
            r = torch.zeros_like(x, requires_grad=False) if r is None else r
            self.leaf = r = r.detach().to(x.dtype).requires_grad_()
        return x if r is None else x + r.to(x.dtype)

    def meet(self, x):
        """Note what is at the site."""
        self.calls += 1
        self.shape, self.like = x.shape, x.new_empty(0)
        if self.measured:
            self.norms = l2_norm(x.detach()[None] if self.site.one_vector else x.detach())

    def exchange(self, table):
        """Perturb a table, which nothing works on in place: no copy of it is made where there is no r."""
        if self.watched and self.r is None:
            self.meet(table)
            self.leaf = torch.ops.aten.alias(table) if table.requires_grad else table.detach().requires_grad_()
            return self.leaf
        return self.add(table)

    def add_again(self, x):
        """Perturb in a pass that is computed a second time, by activation checkpointing."""
        return x if self.r is None else x + self.r.to(x.dtype)

    def _check_shape(self, x):
        if self.r is not None and (shape := getattr(x, "shape", None)) != self.r.shape:
            raise ValueError(
                f"target: got shape {shape} for {self.site}, expected {self.r.shape} as in the pass before"
            )


class Activation:
    """A tensor on its way through the model."""

    one_vector = False

    def check_values(self, x):
        if not isinstance(x, torch.Tensor):
            raise TypeError(f"target: got a {type(x).__name__} for {self}, expected a tensor")
        if not x.is_floating_point():
            raise TypeError(
                f"target: got {x.dtype} for {self}, expected floating point. For tokens name the embedding to"
                ' perturb, as in target="embedding"'
            )
        if x.dim() == 0 or len(x) == 0:
            raise ValueError(f"target: got shape {tuple(x.shape)} for {self}, expected (B, *S), at least one sample")
        if finite(x.detach()) is False:
            raise ValueError(f"target: got NaN or infinity in {self}, expected finite numbers")

    def check_reached(self, shift, *, once=False):
        """Refuse a perturbation that was never applied: it would go unnoticed."""
        if shift.calls == 0:
            raise RuntimeError(
                f"target: {self} was computed 0 times, expected once. Is the module called, and not compiled from"
                " outside?"
            )
        if once and shift.calls > 1:
            raise RuntimeError(f"target: {self} was computed {shift.calls} times in one pass, expected once")


class Input(Activation):
    """A leaf of the model's arguments, which are held as (positional, by name)."""

    def __init__(self, path=None):
        self.path = path

    def __str__(self):
        return "the model's first input" if self.path is None else f"the input {show_path(self.path)}"

    def check(self, model):
        """Nothing about an input can be known before it comes."""

    def find(self, arguments):
        """The path to the leaf, and the leaf."""
        path = the_one_input(arguments) if self.path is None else within_arguments(self.path, arguments)
        leaf = arguments
        for key in path:
            leaf = look_up(leaf, key, self.path)
        return path, leaf

    def replace(self, arguments, shift):
        """The arguments with another leaf."""
        path, leaf = self.find(arguments)
        return replaced(arguments, path, shift.add(leaf))

    @contextlib.contextmanager
    def apply(self, model, shift, *, again=False):
        """Nothing to prepare: `replace` says what the model is called with."""
        yield

    @contextlib.contextmanager
    def hook(self, model, shift):
        """Within, whoever calls the model has the leaf replaced."""

        def replace(module, args, kwargs):
            return self.replace((args, kwargs), shift)

        handle = model.register_forward_pre_hook(
            torch.compiler.disable(replace) if is_compiled(model) else replace, prepend=True, with_kwargs=True
        )
        try:
            yield
        finally:
            handle.remove()


class Output(Activation):
    """What a module returns."""

    def __init__(self, name, module):
        self.name, self.module = name, module

    def __str__(self):
        return f"the output of {self.name!r}"

    def check(self, model):
        """Dynamo does not look for new hooks inside what it compiled."""
        if any(self.module in part.modules() for part in compiled_parts(model) if part is not self.module):
            raise RuntimeError(
                f"target: {self} is inside a compiled model, where hooks are not seen; expected the module itself."
                " A compiled model's input and tables can be perturbed"
            )

    @contextlib.contextmanager
    def apply(self, model, shift, *, again=False):
        add = shift.add_again if again else shift.add
        if is_compiled(self.module):
            add = torch.compiler.disable(add)
        handle = self.module.register_forward_hook(lambda module, args, output: add(output))
        try:
            yield
        finally:
            handle.remove()

    hook = apply


class Table:
    """An embedding's table: every module that holds it reads table + r, a tied output layer among them."""

    one_vector = True

    def __init__(self, name, module):
        self.name, self.module = name, module

    def __str__(self):
        return f"the table of {self.name!r}"

    def check(self, model):
        if not any(parameter.requires_grad for parameter in self.module.parameters()):  # it may be computed from some
            raise RuntimeError(
                f"target: {self} is frozen (requires_grad=False), expected one that is trained. Perturb its output"
                ' instead: where="output"'
            )
        if self.module.max_norm is not None:
            raise RuntimeError(
                f"target: {self} is rescaled in place at every look-up (max_norm={self.module.max_norm}), expected"
                ' max_norm=None. Perturb its output instead: where="output"'
            )

    def check_reached(self, shift, *, once=False):
        """Every pass that reads the table reads table + r; one that does not has no gradient."""

    @contextlib.contextmanager
    def apply(self, model, shift, *, again=False):
        weight = self.module._parameters.get("weight")
        if weight is None:
            exchange = exchange_computed
        elif any(self.module in unit.modules() for unit in sharded_units(model)):
            exchange = exchange_sharded
        else:
            exchange = exchange_parameter
        with exchange(model, self.module, shift, shift.add_again if again else shift.exchange):
            yield

    hook = apply

    def check_values(self, x):
        """A table is as good as training has made it."""


@contextlib.contextmanager
def exchange_parameter(model, module, shift, add):
    """The usual case, in which one parameter is held under one or several names."""
    weight = module._parameters["weight"]
    shifted = add(weight)  # no leaf: autocast's cache of casts, which is of leaves, cannot serve the clean one
    owners = [
        (part._parameters, name)
        for part in model.modules()
        for name, parameter in part._parameters.items()
        if parameter is weight
    ]
    try:
        for held, name in owners:
            held[name] = shifted
        yield
    finally:
        for held, name in owners:
            held[name] = weight


@contextlib.contextmanager
def exchange_computed(model, module, shift, add):
    """A table that is computed from other parameters: by a parametrisation, or by a hook before each look-up."""
    shifted = Added(shift, again=add == shift.add_again)
    if parametrize.is_parametrized(module, "weight"):
        steps = module.parametrizations.weight
        steps.append(shifted)
        try:
            yield
        finally:
            del steps[-1]
        return
    before = vars(module)["weight"]
    hook = module.register_forward_pre_hook(lambda module, args: setattr(module, "weight", shifted(module.weight)))
    try:
        yield
    finally:
        hook.remove()
        module.weight = before


class Added(torch.nn.Module):
    """Adds one r to whatever comes: a table that is computed several times in a pass has one perturbation."""

    def __init__(self, shift, again):
        super().__init__()
        self.shift, self.again = shift, again

    def forward(self, x):
        shift = self.shift
        if self.again or shift.leaf is None:
            return shift.add_again(x) if self.again else shift.add(x)
        return x + shift.leaf.to(x.dtype)


@contextlib.contextmanager
def exchange_sharded(model, module, shift, add):
    """FSDP puts the whole table in place when it enters the unit that holds it; the exchange is made after that."""
    units = [unit for unit in sharded_units(model) if module in unit.modules()]
    unit, put = units[-1], []  # the innermost one

    def enter(*_):
        whole = module._parameters["weight"]
        shifted = add(whole)
        for part in unit.modules():
            for name, parameter in part._parameters.items():
                if parameter is whole:
                    put.append((part._parameters, name, whole))
        for held, name, _ in put:
            held[name] = shifted

    def leave(*_):
        while put:
            held, name, whole = put.pop()
            held[name] = whole

    hooks = [unit.register_forward_pre_hook(enter), unit.register_forward_hook(leave, prepend=True)]
    try:
        yield
    finally:
        leave()
        for hook in hooks:
            hook.remove()


def check_not_sparse(sites):
    """For those who differentiate a gradient again."""
    for site in sites:
        if isinstance(site, Table) and site.module.sparse:
            raise RuntimeError(
                f"target: {site} has sparse gradients, which cannot be differentiated twice; expected"
                ' sparse=False, how="finite_difference", or its output: where="output"'
            )


def is_sharded(weight):
    """Whether a parameter is one of FSDP2's, each replica with a part of it at the moment."""
    return getattr(weight, "device_mesh", None) is not None


def sharded_units(model):
    """The modules that FSDP2 was applied to, whose parameters are whole at times, between passes too."""
    fsdp = sys.modules.get("torch.distributed.fsdp")
    return [part for part in model.modules() if isinstance(part, fsdp.FSDPModule)] if fsdp is not None else []


# Names and paths.


def sites_of(model, target, where):
    """The sites that a target stands for: one, or as many as a list has."""
    if where not in ("table", "output", "input"):
        raise ValueError(f"where: got {where!r}, expected one of 'table', 'output', 'input'")
    targets = target if isinstance(target, list) else [target]
    if not targets:
        raise ValueError("target: got an empty list, expected one target or more")
    return [site_of(model, one, where) for one in targets]


def site_of(model, target, where):
    if target is None or where == "input":
        return Input(target)
    if not isinstance(target, str):
        raise TypeError(
            f"target: got {target!r}, expected a module's name. A position or key of the inputs goes with"
            ' where="input"'
        )
    kind = torch.nn.Embedding if where == "table" else torch.nn.Module
    name, module = named(model, target, kind)
    return Table(name, module) if where == "table" else Output(name, module)


def named(model, target, kind):
    """The one module of a kind that a name, or the end of one, stands for."""
    parts = {plain_name(name): part for name, part in model.named_modules(remove_duplicate=False) if part is not model}
    there = {name: part for name, part in parts.items() if isinstance(part, kind)}
    found = [name for name in there if f".{name}".endswith(f".{target}")]
    if target in there or len({there[name] for name in found}) == 1:
        name = target if target in there else found[0]
        return name, there[name]
    wanted = "an embedding's name" if kind is torch.nn.Embedding else "a module's name"
    if found:
        raise ValueError(f"target: got {target!r}, which fits {' and '.join(found)}; expected {wanted} that fits one")
    if any(
        f".{name}".endswith(f".{target}") and isinstance(part, torch.nn.EmbeddingBag) for name, part in parts.items()
    ):
        raise ValueError(
            f"target: got {target!r}, an nn.EmbeddingBag, whose look-up and mean are one operation; expected an"
            ' nn.Embedding. Perturb its output instead: where="output"'
        )
    raise ValueError(f"target: got {target!r}, expected {wanted}: {', '.join(there) or 'but the model has none'}")


def plain_name(name):
    for wrapper in WRAPPERS:
        name = name.replace(wrapper, "")
    return name


def show_path(path):
    """A path as its user wrote it."""
    return ".".join(map(str, path)) if isinstance(path, tuple) else repr(path)


def within_arguments(path, arguments):
    """A user's key or position as a path into (positional, by name)."""
    keys = path if isinstance(path, tuple) else (path,)
    return (0 if isinstance(keys[0], int) else 1, *keys)


def look_up(tree, key, path):
    try:
        return tree[key]
    except (KeyError, IndexError, TypeError):
        there = ", ".join(map(repr, tree if isinstance(tree, dict) else range(len(tree)))) or "nothing"
        raise ValueError(f"target: got {show_path(path)} for the inputs, expected one of {there}") from None


def replaced(tree, path, leaf):
    """A copy of nested tuples, lists and dicts with another leaf at the path."""
    if not path:
        return leaf
    key, rest = path[0], path[1:]
    new = replaced(tree[key], rest, leaf)
    if isinstance(tree, tuple):
        parts = (*tree[:key], new, *tree[key + 1 :])
        return type(tree)(*parts) if hasattr(tree, "_fields") else parts
    copy = tree.copy()
    copy[key] = new
    return copy


def the_one_input(arguments):
    """The path to the first positional tensor, or else to the only floating-point one."""
    if arguments[0] and isinstance(arguments[0][0], torch.Tensor):
        return 0, 0
    found = [path for path, leaf in leaves(arguments) if leaf.is_floating_point()]
    if len(found) == 1:
        return found[0]
    if not found:
        raise TypeError(
            "target: got no floating-point tensor among the inputs, expected one. For tokens name the embedding to"
            ' perturb, as in target="embedding"'
        )
    names = ", ".join(".".join(map(str, path[1:])) for path in found)
    raise ValueError(f'target: got None where several inputs fit, expected one of {names}, with where="input"')


def leaves(tree, path=()):
    """Paths and tensors of nested tuples, lists and dicts."""
    if isinstance(tree, torch.Tensor):
        yield path, tree
    elif hasattr(tree, "items"):
        for key, part in tree.items():
            yield from leaves(part, (*path, key))
    elif isinstance(tree, (tuple, list)):
        for key, part in enumerate(tree):
            yield from leaves(part, (*path, key))


def is_compiled(module):
    return "_orig_mod" in module._modules or module._compiled_call_impl is not None


def compiled_parts(model):
    """Modules that are compiled, and in which new hooks and second derivatives do not work."""
    return [part for part in model.modules() if is_compiled(part)]
