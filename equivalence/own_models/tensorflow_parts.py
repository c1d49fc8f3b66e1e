"""The layers of a Keras model as one pass calls them, each as a problem of its own.

A layer is given what it was given in that pass. Its floating-point inputs are one vector x, (1, N); a smooth function
of its outputs stands for the loss, so that derivatives of every order go through it.
"""

import inspect
import traceback

import keras
import numpy as np
import tensorflow as tf

from equivalence.own_models import Part, Problem
from impls.tensorflow.passes import _Scope
from impls.tensorflow.sites import _paths

SHIFT = "its input"


def called(own):
    """The tree of calls of a pass: the model's layers, and beside them the loss."""
    root = Part("the whole", "", lambda: None)
    stack, patched = [root], []
    names = {id(layer): name for name, layer in _paths(own.model)}

    def watched(layer, call):
        def record(*args, **kwargs):
            part = part_of(layer, names[id(layer)], call, args, kwargs, own)
            stack[-1].children.append(part)
            stack.append(part)
            try:
                return call(*args, **kwargs)
            finally:
                stack.pop()

        return record

    for _, layer in _paths(own.model):
        patched.append((layer, layer.call, "call" in vars(layer)))
        layer.call = watched(layer, layer.call)
    try:
        outputs = own.outputs(own.parameters())
    finally:
        for layer, call, had in patched:
            if had:
                layer.call = call
            else:
                del layer.call
    loss = part_of(own.model, "loss", lambda y_pred: own.read(y_pred), (outputs,), {}, own)
    loss.kind = "the loss function"
    root.children.append(loss)
    return root


def dtypes_within(graph):
    """The floating-point dtypes that lead to what a graph returns, by name; what is drawn or compared does not."""
    waiting, seen, found = [output for output in graph.outputs if output.dtype.is_floating], set(), set()
    while waiting:
        tensor = waiting.pop()
        if tensor.op.name not in seen:
            seen.add(tensor.op.name)
            given = [each for each in tensor.op.inputs if each.dtype.is_floating]
            waiting += given
            found |= {tensor.dtype.name} if given else set()  # a constant rounds nothing that moves
            found = found.union(*(dtypes_within(inner) for inner in called_by(tensor.op, graph)))
    return found


def called_by(operation, graph):
    """The graphs of the functions that an operation calls: loops, conditions, layers that are functions themselves."""
    names = [value.func.name for value in operation.node_def.attr.values() if value.HasField("func")]
    known = (graph._functions.get(name) or graph._functions.get(name.encode()) for name in names)
    return [function.graph for function in known if hasattr(function, "graph")]


def part_of(layer, name, call, args, kwargs, own):
    """One call as a Part."""
    weights = [] if name == "loss" else list(layer.trainable_weights)
    return Part(
        name,
        type(layer).__name__,
        lambda: isolated(call, weights, args, kwargs),
        lambda: clues(layer, call, own),
        lambda size: mixes(call, args, kwargs, size),
        lambda: changes(call, args, kwargs),
    )


def isolated(call, weights, args, kwargs):
    """A call as a problem of its floating-point inputs and its weights."""
    leaves = floating((args, kwargs))
    if not leaves:
        return None
    shapes = [leaf.shape for leaf in leaves]
    x = tf.concat([tf.reshape(leaf, (-1,)) for leaf in leaves], 0)[None]
    sizes = [int(np.prod(shape)) for shape in shapes]
    outputs = floating(within_scope(call, [], args, kwargs))
    rng = np.random.default_rng(0)
    noise = [tf.constant(rng.standard_normal(leaf.shape), leaf.dtype) for leaf in outputs]
    scales = [1 + tf.reduce_max(tf.abs(leaf)) for leaf in outputs]

    def losses(params, x):
        parts = iter(tf.split(x[0] + params[SHIFT], sizes))
        put = iter([tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)])
        now_args, now_kwargs = mapped((args, kwargs), lambda leaf: next(put))
        found = floating(
            within_scope(call, [(weight, params[weight.path]) for weight in weights], now_args, now_kwargs)
        )
        terms = [
            tf.reduce_sum(tf.sin(leaf / scale + weight))
            for leaf, scale, weight in zip(found, scales, noise, strict=True)
        ]
        return tf.reshape(tf.add_n(terms), (1,))

    start = {SHIFT: tf.zeros_like(x[0])} | {weight.path: tf.convert_to_tensor(weight) for weight in weights}
    return Problem(losses, start, x)


def within_scope(call, state, args, kwargs):
    """A call that writes nothing."""
    with _Scope(state):
        return call(*args, **kwargs)


def is_floating(leaf):
    return tf.is_tensor(leaf) and leaf.dtype.is_floating


def floating(tree):
    """The floating-point tensors of a tree."""
    return [leaf for leaf in keras.tree.flatten(tree) if is_floating(leaf)]


def mapped(tree, change):
    return keras.tree.map_structure(lambda leaf: change(leaf) if is_floating(leaf) else leaf, tree)


def mixes(call, args, kwargs, size):
    """Whether the first row of an output moves with other rows of the inputs."""
    leaves = floating((args, kwargs))
    if size < 2 or not leaves or any(not leaf.shape.rank or leaf.shape[0] != size for leaf in leaves):
        return False
    others = mapped((args, kwargs), moved)
    before, after = (floating(within_scope(call, [], *given)) for given in ((args, kwargs), others))
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if a.shape.rank and a.shape[0] == size]
    return any(not np.allclose(a[0], b[0], 1e-3, 1e-6) for a, b in pairs)


def moved(leaf):
    """Another batch around the first sample."""
    return tf.concat([leaf[:1], 1.5 * leaf[1:] + tf.math.reduce_std(leaf[1:]) + 0.1], 0)


def changes(call, args, kwargs):
    """Whether two calls differ, though inputs, weights and seeds are the same."""
    first, second = (floating(within_scope(call, [], args, kwargs)) for _ in range(2))
    return any(bool(tf.reduce_any(a != b)) for a, b in zip(first, second, strict=True))


def clues(layer, call, own):
    """Where a layer of the user's own is written, and what in its code ends or replaces a gradient."""
    try:
        file, (lines, start) = inspect.getsourcefile(type(layer)), inspect.getsourcelines(type(layer))
    except (OSError, TypeError):
        return []
    if file != own.path:
        return []
    found = []
    for number, line in enumerate(lines, start):
        for word in ("stop_gradient", "custom_gradient", "no_gradient", "numpy_function", "py_function"):
            if word in line:
                found.append(f"{word} at line {number}")
    return [*found, f"it is written at {file.rpartition('/')[2]}:{start}"]


def users_line(error, path):
    """The line of the user's file that an error came through last."""
    numbers = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f" (line {numbers[-1]})" if numbers else ""
