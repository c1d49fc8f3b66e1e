"""Where a model is perturbed: leaves of its input, outputs of layers, tables of embeddings; several jointly."""

import contextlib

import keras
import tensorflow as tf

WHERE = ("table", "output", "input")


class Sites:
    """The places of one objective.

    Args:
        model: a keras.Model.
        target: None, a name or a position, or a list of them.
        where: what a name stands for.
        scope: "sample" or "tensor"; tables always have one norm together.
        mask: of padding; a key or position in the input, or a function of it.
        replicas: "all" or "local": over what a norm that samples share is taken.
    """

    def __init__(self, model, target, *, where="table", scope="sample", mask=None, replicas="all"):
        if where not in WHERE:
            raise ValueError(f"where: got {where!r}, expected one of {', '.join(map(repr, WHERE))}")
        if replicas not in ("all", "local"):
            raise ValueError(f"replicas: got {replicas!r}, expected one of 'all', 'local'")
        if isinstance(target, (list, tuple)) and (not target or len(set(target)) < len(target)):
            raise ValueError(f"target: got {target!r}, expected different names, at least one")
        self.model, self.where, self.mask, self.everywhere = model, where, mask, replicas == "all"
        self.targets = list(target) if isinstance(target, (list, tuple)) else [target]
        self.is_input = target is None or where == "input"
        self.is_table = not self.is_input and where == "table"
        self.scope = "tensor" if self.is_table else scope
        kind = keras.layers.Embedding if self.is_table else keras.layers.Layer
        self.layers = [] if self.is_input else [named(model, name, kind) for name in self.targets]
        if mask is not None and self.is_table:
            raise ValueError("mask: got one for a table, expected none: a table has no padding")
        if all(layer.built for _, layer in self.layers):
            self.check_trained()

    def __str__(self):
        if self.is_input:
            return " ".join(["the model's input", *(repr(target) for target in self.targets if target is not None)])
        return f"the {self.where} of {' and '.join(repr(name) for name, _ in self.layers)}"

    def check_trained(self):
        """A table is a variable that the optimiser moves."""
        for name, layer in self.layers if self.is_table else []:
            if not any(layer.embeddings is weight for weight in self.model.trainable_weights):
                raise ValueError(
                    f"target: the table of {name!r} is not trained (trainable=False, quantised, LoRA), expected one"
                    ' that is. Perturb the layer\'s output instead: where="output"'
                )

    def mask_of(self, x, places):
        """The padding mask (B, T): the one that was asked for, or what Keras passes along with a layer's output."""
        if callable(self.mask):
            return self.mask(x)
        if self.mask is not None:
            return _leaf(self.model, x, self.mask, "mask")[1]
        masks = [] if self.is_table else [getattr(place, "_keras_mask", None) for place in places]
        return masks[0] if len(masks) == 1 else None

    @contextlib.contextmanager
    def changed(self, x, scope, change):
        """The input of a pass in which change(number, value) stands where the place of that number had the value."""
        with contextlib.ExitStack() as stack:
            if self.is_input:
                x = self._changed_input(x, change)
            for number, (name, layer) in enumerate(self.layers):
                enter = _changed_table if self.is_table else _changed_output
                stack.enter_context(enter(number, name, layer, scope, change))
            yield x

    def _changed_input(self, x, change):
        leaves = keras.tree.flatten(x)
        places = [_leaf(self.model, x, target, "target") for target in self.targets]
        for number, (place, leaf) in enumerate(places):
            leaves[place] = change(number, leaf)
        return keras.tree.pack_sequence_as(x, leaves)


@contextlib.contextmanager
def _changed_table(number, name, layer, scope, change):
    """Every use in the pass sees the changed table but its regulariser, which is of the table as it is."""
    table = layer.embeddings
    value = scope.get_current_value(table)
    value = tf.convert_to_tensor(table) if value is None else value
    scope.state_mapping[id(table)] = change(number, tf.identity(value))
    regularizer = table.regularizer
    if regularizer is not None:
        table.regularizer = lambda _: regularizer(value)
    try:
        yield
    finally:
        if regularizer is not None:
            table.regularizer = regularizer


@contextlib.contextmanager
def _changed_output(number, name, layer, scope, change):
    """Within, the layer's output is the changed one."""
    own, call = "call" in vars(layer), layer.call

    def changed(*args, **kwargs):
        output = call(*args, **kwargs)
        if not tf.is_tensor(output) or not output.dtype.is_floating:
            came = output.dtype.name if tf.is_tensor(output) else type(output).__name__
            raise TypeError(
                f"target: got {came} for the output of {name!r}, expected one floating-point tensor (B, *S)"
            )
        return change(number, output)

    layer.call = changed
    try:
        yield
    finally:
        if own:
            layer.call = call
        else:
            del layer.call


def _leaf(model, x, target, argument):
    """(number in the flat input, tensor) of a leaf: the first floating-point one, or by its key, path or position."""
    there = [
        (place, _path(path), leaf)
        for place, (path, leaf) in enumerate(keras.tree.flatten_with_path(x))
        if leaf is not None
    ]
    if target is None:
        place, leaf = _first_floating(there, x)
    elif isinstance(target, int) and not isinstance(target, bool):
        if not 0 <= target < len(there):
            raise ValueError(f"{argument}: got position {target}, expected 0 to {len(there) - 1} in the input")
        place, _, leaf = there[target]
    else:
        names = _input_names(model, there)
        found = [(place, leaf) for place, path, leaf in there if target in (path, names.get(place))]
        if len(found) != 1:
            known = ", ".join(sorted({path for _, path, _ in there if path} | set(names.values()))) or "it has no names"
            raise ValueError(f"{argument}: got {target!r}, expected the name of one leaf of the input: {known}")
        place, leaf = found[0]
    return place, leaf if argument == "mask" else _floating(leaf)


def _path(path):
    return "/".join(map(str, path))


def _input_names(model, there):
    """Names of a functional model's inputs, by place."""
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) != len(there):
        return {}
    return {place: given.name for (place, _, _), given in zip(there, inputs, strict=True)}


def _first_floating(there, x):
    floating = [leaf for leaf in there if hasattr(leaf[2], "dtype") and tf.as_dtype(leaf[2].dtype).is_floating]
    if len(floating) > 1 and isinstance(x, dict):  # which has no first
        names = ", ".join(path for _, path, _ in floating)
        raise TypeError(
            f"x: got {len(floating)} floating-point tensors ({names}), expected one to perturb. Name those that are"
            ' meant, as in target="…", where="input"'
        )
    place, _, leaf = (floating or there)[0]
    return place, leaf


def _floating(leaf):
    """The leaf, if it is a floating-point tensor."""
    if not hasattr(leaf, "shape") or isinstance(leaf, (tf.SparseTensor, tf.RaggedTensor)):
        raise TypeError(f"x: got a {type(leaf).__name__}, expected a dense tensor")
    if not tf.as_dtype(leaf.dtype).is_floating:
        raise TypeError(
            f"x: got {tf.as_dtype(leaf.dtype).name}, expected floating point. For tokens name the embedding to"
            ' perturb, as in target="embedding"'
        )
    return tf.convert_to_tensor(leaf)


def named(model, target, kind):
    """The one layer of a kind that a path, or the end of one, stands for."""
    there = [(path, layer) for path, layer in _paths(model) if isinstance(layer, kind)]
    found = [(path, layer) for path, layer in there if path == target]
    found = found or [(path, layer) for path, layer in there if path.endswith(f"/{target}")]
    if len(found) == 1:
        return found[0]
    wanted = "the name of an Embedding" if kind is keras.layers.Embedding else "the name of a layer"
    if found:
        fits = " and ".join(path for path, _ in found)
        raise ValueError(f"target: got {target!r}, which fits {fits}; expected {wanted} that fits one")
    names = ", ".join(path for path, _ in there) or "but the model has none"
    raise ValueError(f"target: got {target!r}, expected {wanted}: {names}")


def _paths(model, prefix="", seen=()):
    """Each layer within a model once, with the names that lead to it."""
    seen = seen or set()
    for layer in model._flatten_layers(include_self=False, recursive=False):
        if id(layer) not in seen:
            seen.add(id(layer))
            yield prefix + layer.name, layer
            yield from _paths(layer, f"{prefix}{layer.name}/", seen)
