"""Where r is added: to the model's input, to an embedding's table, to the output of a module.

A site's point is what r is added to. Of samples it is (B, *S), of a table (1, V, D): what there is one of for each
sample, there is one of for the table. Several leaves are perturbed jointly: their numbers stand side by side, (B, n).
"""

import contextlib
import math
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from impls.jax import finite

SPLIT = (
    "Split f in two: with h = embed(params, tokens), objective(params, h, labels) of the second half,"
    " f(params, h), perturbs h, and gradients flow to the first"
)


class Site(NamedTuple):
    name: str
    point: Any  # (B, *S), (1, V, D); of a module's output 0, since it is not known before f runs
    put: Callable  # arrays, x, point -> arrays and x with the point in its place
    tap: Callable  # point, params -> a context in which f is run
    kind: str  # "input", "table", "output"
    mask: Any  # of the point's shape, 1 where r may be; or None

    @property
    def one(self):
        """Whether there is one vector for all samples."""
        return self.kind == "table"


def find_site(model, x, target, where, mask):
    """The site that target and where name; mask (B, T) is where r may be."""
    if where == "output" and target is not None:
        return _output(model, x, target, mask)
    if where == "input" or target is None:
        return _input(x, target, mask)
    if mask is not None:
        raise ValueError('mask: got one for a table, expected None: padding is of samples, where="input" or "output"')
    return _table(model, x, target)


def _input(x, target, mask):
    names, leaves, tree = _named(x)
    real = [place for place, leaf in enumerate(leaves) if is_floating(leaf)]
    if target is not None:
        places = [_index("x", names, leaves, name, real, "floating-point inputs") for name in _list(target)]
    elif len(real) == 1:
        places = real
    elif real:
        raise ValueError(
            f"target: got None, which fits {', '.join(names[place] for place in real)} in x; expected one of them, or a"
            ' list of several, with where="input"'
        )
    else:
        kinds = ", ".join(str(jnp.result_type(leaf)) for leaf in leaves if hasattr(leaf, "dtype")) or "no array"
        raise TypeError(
            f"x: got {kinds}, expected floating point: perturbations need real inputs. For integer tokens name"
            ' their embedding in params, target="encoder/embedding" for instance'
        )
    parts = [jnp.asarray(leaves[place]) for place in places]
    if any(part.ndim == 0 or len(part) != len(parts[0]) or len(part) == 0 for part in parts):
        shapes = ", ".join(str(part.shape) for part in parts)
        raise ValueError(f"x: got shape {shapes}, expected (B, *S) with at least one sample")
    names_ = [f"x, {names[place]}" if names[place] else "x" for place in places]
    point, separate = _join(parts)
    masks = None if mask is None else _join([_over(mask, part) for part in parts])[0]

    def put(arrays, _, point):
        return arrays, _replaced(tree, leaves, places, separate(point))

    return Site(", ".join(names_), check_finite(" and ".join(names_), point), put, no_tap, "input", masks)


def _table(model, x, target):
    names, leaves = model.parameters()
    tables = [place for place, leaf in enumerate(leaves) if is_floating(leaf) and leaf.ndim == 2]
    places = [_index("params", names, leaves, name, tables, "floating-point tables (V, D)") for name in _list(target)]
    point, separate = _join([jnp.asarray(leaves[place])[None] for place in places])
    name = ", ".join(names[place] for place in places)
    for place in places:
        _check_looked_up(model, x, leaves[place], names[place])

    def put(arrays, x, point):
        _, leaves = model.parameters(arrays)
        leaves = _exchanged(leaves, places, [part.squeeze(0) for part in separate(point)])
        return model.with_parameters(arrays, leaves), x

    return Site(f"params, {name}", check_finite(f"params, {name}", point), put, no_tap, "table", None)


UNCHANGED = {"convert_element_type", "copy", "reshape", "sharding_constraint", "squeeze", "transpose"}
PRODUCTS = {"dot_general", "conv_general_dilated"}


def _check_looked_up(model, x, table, name):
    """Refuse a kernel: a table has rows that f looks up, or multiplies with a one-hot matrix made of integers."""
    if _uses_of(model, x, table) == {"product"}:
        raise ValueError(
            f"target: got {name!r}, which f multiplies with and never looks up; expected an embedding's table. To"
            " perturb a kernel, take r = perturb_table(lambda kernel: losses of f with it, kernel, radius=...) and"
            " train on f with kernel + r"
        )


def _uses_of(model, x, table):
    """How f uses a parameter: for a product, to look rows up, or otherwise."""
    jaxpr, leaves = model.jaxpr(x)
    kinds = ["table" if leaf is table else "real" if is_floating(leaf) else None for leaf in leaves]
    return _uses(jaxpr, kinds)[0]


def _uses(jaxpr, kinds):
    """How a table is used, and what outputs are: the "table" itself, made of "real" numbers, or of integers (None)."""
    kind, found = dict(zip(jaxpr.invars, kinds, strict=True)), set()
    of = lambda atom: None if hasattr(atom, "val") else kind.get(atom)  # noqa: E731 - a literal has a value
    for equation in jaxpr.eqns:
        given, name = [of(atom) for atom in equation.invars], equation.primitive.name
        result = ["real" if set(given) & {"real", "table"} else None] * len(equation.outvars)
        if "table" in given:
            inner = [
                part for part in map(program_of, equation.params.values()) if part and len(part.invars) == len(given)
            ]
            if inner:
                uses, result = _uses(inner[0], given)
                found |= uses
            elif name in UNCHANGED:
                result = ["table"]
            else:
                found.add(_use(name, given))
        kind |= zip(equation.outvars, result, strict=True)
    return found, [of(atom) for atom in jaxpr.outvars]


def _use(name, given):
    """What an operation does with a table: multiplies with it, looks rows up, by number or one-hot, or neither."""
    if name in PRODUCTS:
        return "product" if "real" in given else "lookup"
    return "lookup" if name == "gather" and given[0] == "table" else "other"


def program_of(parameter):
    """The program that a parameter of an operation is, or None."""
    jaxpr = getattr(parameter, "jaxpr", parameter)
    return jaxpr if hasattr(jaxpr, "eqns") else None


def _output(model, x, target, mask):
    """A module's output, found by running f without computing anything."""
    seen = {}  # outputs by module

    def note(path, output):
        seen.setdefault(path, []).append(output)
        return output

    model.trace(x, lambda params: _intercepted(params, note))
    if not seen:
        raise ValueError(
            f"where: got 'output' with an f that calls no module of Flax or Haiku, expected one whose module {target!r}"
            f" is. {SPLIT}"
        )
    paths = list(seen)
    places = [_index("f", paths, None, name, range(len(paths)), "modules that it calls") for name in _list(target)]
    found = [paths[place] for place in places]
    for path in found:
        _check_output(path, seen[path])
    parts = [jnp.zeros(seen[path][0].shape, seen[path][0].dtype) for path in found]
    point, separate = _join(parts)
    masks = None if mask is None else _join([_over(mask, part) for part in parts])[0]
    return Site(", ".join(found), point, _stay, _adding(found, separate), "output", masks)


def _check_output(path, outputs):
    """One call in a pass, and an array of samples."""
    got = outputs[0]
    if len(outputs) > 1:
        raise ValueError(
            f"target: got {path!r}, which is called {len(outputs)} times in a pass, expected one call. {SPLIT}"
        )
    if not is_floating(got) or jnp.ndim(got) < 1:
        shape = f"{got.dtype} {got.shape}" if hasattr(got, "shape") else f"a {type(got).__name__}"
        raise TypeError(f"target: got {path!r}, whose output is {shape}; expected a floating-point array (B, *S)")


def _adding(paths, separate):
    """A tap that adds each its part of the point, and sees to it that it did."""

    @contextlib.contextmanager
    def tap(point, params):
        parts, called = dict(zip(paths, separate(point), strict=True)), []

        def add(path, output):
            if path not in parts:
                return output
            called.append(path)
            return output + parts[path]

        with _intercepted(params, add):
            yield
        if sorted(called) != sorted(paths):
            raise ValueError(
                f"f: got {len(called)} calls of {', '.join(paths)} in a pass, expected one each. An f that is compiled"
                " by itself is not run again in each pass: leave jit to the whole step"
            )

    return tap


@contextlib.contextmanager
def _intercepted(params, change):
    """A context in which every module's output goes through change(path, output)."""
    with contextlib.ExitStack() as stack:
        if linen := sys.modules.get("flax.linen"):
            paths = lambda context: "/".join(context.module.path)  # noqa: E731
            stack.enter_context(linen.intercept_methods(_interceptor(paths, change)))
        if haiku := sys.modules.get("haiku"):
            paths = lambda context: context.module.module_name  # noqa: E731
            stack.enter_context(haiku.intercept_methods(_interceptor(paths, change)))
        if nnx := sys.modules.get("flax.nnx"):
            stack.enter_context(_nnx_intercepted(nnx, params, change))
        yield


def _interceptor(path_of, change):
    def interceptor(function, args, kwargs, context):
        output, path = function(*args, **kwargs), path_of(context)
        return change(path, output) if context.method_name == "__call__" and path else output

    return interceptor


@contextlib.contextmanager
def _nnx_intercepted(nnx, params, change):
    """NNX has no interceptors: for the time of a pass, the classes' calls look whose they are."""
    is_module = lambda node: isinstance(node, nnx.Module)  # noqa: E731
    roots = [leaf for leaf in jax.tree.leaves(params, is_leaf=is_module) if is_module(leaf)]
    modules = [(path, module) for root in roots for path, module in nnx.iter_modules(root)]
    paths = {id(module): "/".join(map(str, path)) for path, module in modules}
    kinds = {type(module) for _, module in modules if callable(module)}
    own = {kind: vars(kind).get("__call__") for kind in kinds}

    def watched(kind, call):
        def __call__(self, *args, **kwargs):
            output, path = call(self, *args, **kwargs), paths.get(id(self))
            return change(path, output) if type(self) is kind and path else output

        return __call__

    try:
        for kind in kinds:
            kind.__call__ = watched(kind, kind.__call__)
        yield
    finally:
        for kind, call in own.items():
            if call is None:
                del kind.__call__
            else:
                kind.__call__ = call


def no_tap(point, params):
    return contextlib.nullcontext()


def _stay(arrays, x, point):
    return arrays, x


def _list(target):
    return target if isinstance(target, list | tuple) else [target]


def _named(tree):
    """Paths of the leaves, "encoder/embedding", the leaves, and their structure."""
    paths, structure = jax.tree.flatten_with_path(tree)
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in paths]
    return names, [leaf for _, leaf in paths], structure


def named_leaf(tree, target):
    """The leaf of x with this name or position."""
    names, leaves, _ = _named(tree)
    return leaves[_index("x", names, leaves, target, range(len(names)), "inputs")]


def _replaced(tree, leaves, places, parts):
    return tree.unflatten(_exchanged(leaves, places, parts))


def _exchanged(leaves, places, parts):
    leaves = list(leaves)
    for place, part in zip(places, parts, strict=True):
        leaves[place] = part
    return leaves


def _index(whose, names, leaves, target, fitting, kind):
    """Where the one leaf is whose path is the target, or ends with it; or that which is alone under such a path."""
    name = str(target)
    found = [place for place, path in enumerate(names) if path == name]
    found = found or [place for place, path in enumerate(names) if path.endswith(f"/{name}")]
    if not found and leaves is not None:
        found = [place for place in fitting if f"/{names[place]}".rpartition("/")[0].endswith(f"/{name}")]
    if len(found) > 1:
        several = ", ".join(names[place] for place in found)
        raise ValueError(f"target: got {target!r}, which fits {several}; expected one of them, more of its path")
    if not found or found[0] not in fitting:
        got = f"an array {getattr(leaves[found[0]], 'shape', None)}" if found else f"which is not in {whose}"
        there = ", ".join(names[place] for place in fitting) or "none"
        raise ValueError(f"target: got {target!r}, {got}; expected one of the {kind}: {there}")
    return found[0]


def _join(parts):
    """One array for all, and the function that takes it apart again: side by side in the dtype that holds them all."""
    if len(parts) == 1:
        return parts[0], lambda point: [point]
    dtype = parts[0].dtype
    with jax.numpy_dtype_promotion("standard"):
        for part in parts[1:]:
            dtype = jnp.promote_types(dtype, part.dtype)
    sizes = [math.prod(part.shape[1:]) for part in parts]
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]

    def separate(point):
        rows = zip(jnp.split(point, ends[:-1], axis=1), parts, strict=True)
        return [row.reshape(len(point), *part.shape[1:]).astype(part.dtype) for row, part in rows]

    return jnp.concatenate([part.reshape(len(part), -1).astype(dtype) for part in parts], axis=1), separate


def _over(mask, part):
    """A mask (B, T) of the rank of (B, T, *S)."""
    if jnp.shape(mask) != part.shape[:2] or part.ndim < 2:
        raise ValueError(
            f"mask: got shape {jnp.shape(mask)} beside {part.shape}, expected {part.shape[:2]}, 1 for what may be"
            " perturbed and 0 for padding"
        )
    mask = jnp.asarray(mask).astype(part.dtype).reshape(*part.shape[:2], *[1] * (part.ndim - 2))
    return jnp.broadcast_to(mask, part.shape)


def is_floating(array):
    return hasattr(array, "dtype") and jnp.issubdtype(array.dtype, jnp.floating)


def check_finite(name, values):
    """The values; outside jit NaN is refused before it reaches an optimiser, also where jax.grad is at work."""
    if finite(jax.lax.stop_gradient(values)) is False:
        raise ValueError(f"{name}: got NaN or infinity from it or its derivatives, expected finite numbers")
    return values
