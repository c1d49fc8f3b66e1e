"""JAX: a function of parameters, a Flax Linen or NNX module, an Equinox module."""

import contextlib
import sys

import jax
import jax.numpy as jnp
import numpy as np

from equivalence.own_models import (
    PROBABILITIES,
    Place,
    Problem,
    are_probabilities,
    coarsest,
    one_line,
    speak_of_classes,
)
from equivalence.own_models import jax_parts as parts
from equivalence.own_models import jax_steps as steps
from equivalence.protocol import Complaint
from impls.jax.sites import _intercepted, is_floating

EMBEDDINGS = ("Embed", "Embedding")  # classes of modules that look up rows
MOST = 4  # outputs of modules that are offered as places beside embeddings
WIDEST = 100_000  # numbers that an output may have in a sample to be worth a place of its own


@contextlib.contextmanager
def surroundings(*, double):
    """In which the file is imported and everything is measured: with numbers of 64 bits or without."""
    jax.config.update("jax_enable_x64", double)
    yield


def load(names, path, *, double):
    """The model of a file's `model`, `loss`, `batch` and, of a function or a Linen module, `params`."""
    if not (isinstance(names.batch, tuple | list) and len(names.batch) == 2):
        raise Complaint(f"batch is a {type(names.batch).__name__}, expected (x, labels); x may be any pytree of arrays")
    if not callable(getattr(names, "loss", None)):
        raise Complaint("defines no loss: expected loss(outputs, labels) -> one number a sample, (B,)")
    x, labels = names.batch
    own = Own(*read_model(names, x), names.loss, x, labels, path)
    if double:
        own.widen()
    own.look()
    return own


def load_saved(path, *, double):
    raise Complaint(
        "is not Python: JAX's checkpoints have no code. Write a FILE.py that restores one and defines `model`"
    )


def read_model(names, x):
    """(idiom, f, tree): f(tree, x) -> outputs, tree a pytree with the parameters in it."""
    model, params = names.model, getattr(names, "params", getattr(names, "variables", None))
    linen, nnx, equinox = (sys.modules.get(name) for name in ("flax.linen", "flax.nnx", "equinox"))
    if nnx and isinstance(model, nnx.Module):
        return "a Flax NNX module", lambda module, x: called(module, x), model
    if linen and isinstance(model, linen.Module):
        return "a Flax Linen module", *linen_model(model, params, x)
    if equinox and isinstance(model, equinox.Module):
        return "an Equinox module", *equinox_model(model, x)
    if not callable(model):
        raise Complaint(
            f"model is a {type(model).__name__}, expected a function (params, x), or a module that is callable"
        )
    if params is None:
        raise Complaint(
            "defines no params: a model that is a function (params, x) goes with its parameters, any pytree"
        )
    return "a function of parameters", lambda params, x: called(lambda *x: model(params, *x), x), params


def called(function, x):
    """A tuple is several arguments, anything else the only one."""
    return function(*x) if isinstance(x, tuple) and not hasattr(x, "_fields") else function(x)


def linen_model(model, variables, x):
    """A Linen module with its variables: the parameters are a tree, what else it keeps is closed over."""
    key = jax.random.key(0)
    if variables is None:
        variables = called(lambda *x: model.init({"params": key, "dropout": key}, *x), x)
    if "params" not in variables:
        variables = {"params": variables}
    rest = {name: part for name, part in variables.items() if name != "params"}

    def f(params, x):
        given = {"params": params, **rest}
        if not rest:
            return called(lambda *x: model.apply(given, *x, rngs={"dropout": key}), x)
        return called(lambda *x: model.apply(given, *x, rngs={"dropout": key}, mutable=list(rest)), x)[0]

    return f, variables["params"]


def equinox_model(model, x):
    """An Equinox module is of one sample, by its ecosystem's habit; of a batch where it cannot be mapped."""

    def mapped(model, x):
        return called(lambda *x: jax.vmap(model)(*x), x)

    try:
        jax.eval_shape(lambda x: mapped(model, x), x)
    except Exception:
        return lambda model, x: called(model, x), model
    return mapped, model


class Own:
    """A function of parameters with its loss and its batch."""

    framework = "jax"

    def __init__(self, idiom, f, tree, loss, x, labels, path):
        self.idiom, self.f, self.loss, self.x, self.labels, self.path = idiom, f, loss, x, labels, path
        self.remarks, self.training = [], True
        self.nnx = sys.modules.get("flax.nnx") if idiom == "a Flax NNX module" else None
        self.module = tree if self.nnx else None
        if self.nnx:
            self.graph, tree = self.nnx.split(tree)
            self.trained = set(map(id, jax.tree.leaves(self.nnx.filter_state(tree, self.nnx.Param))))
        leaves, self.structure = jax.tree.flatten_with_path(tree)
        self.names = [name_of(path) for path, _ in leaves]
        self.leaves = [leaf for _, leaf in leaves]
        self.moving = [self.is_parameter(leaf) for leaf in self.leaves]
        self.x = jax.tree.map(lambda leaf: jnp.asarray(leaf) if hasattr(leaf, "shape") else leaf, x)
        self.size = next((len(leaf) for leaf in jax.tree.leaves(self.x) if jnp.ndim(leaf)), 0)

    def is_parameter(self, leaf):
        return is_floating(leaf) and (self.nnx is None or id(leaf) in self.trained)

    def widen(self):
        """Compute in float64."""
        self.leaves = [in_float64(leaf) for leaf in self.leaves]
        self.x, self.labels = (jax.tree.map(in_float64, tree) for tree in (self.x, self.labels))

    def look(self):
        """Run it once; whatever is wrong is said before anything is measured."""
        try:
            outputs = self.outputs(self.parameters())
            found = self.read(outputs)
        except Exception as error:
            place = parts.users_line(error, self.path)
            raise Complaint(f"model, loss and batch do not fit together: {one_line(error):.300}{place}") from None
        if not self.parameters():
            raise Complaint("has no floating-point parameters: expected some to be trained")
        self.one_number = found.ndim == 0
        program = jax.make_jaxpr(lambda params: self.read(self.outputs(params)))(self.parameters())
        self.dtype = coarsest({str(found.dtype), *parts.dtypes_within(program.jaxpr)})
        self.probable = hasattr(outputs, "ndim") and are_probabilities(np.asarray(outputs, float))
        if self.probable:
            self.remarks.append(PROBABILITIES)
        if fixed := [name for name, leaf in zip(self.names, self.leaves, strict=True) if jnp.iscomplexobj(leaf)]:
            self.remarks.append(f"derivatives in complex parameters are not looked at: {', '.join(fixed)}")
        if jax.config.jax_enable_x64 and self.dtype != "float64":
            self.remarks.append(f"it computes in {self.dtype} inside, also with parameters and inputs in float64")

    # Passes.

    def parameters(self):
        return {name: leaf for name, leaf, moves in zip(self.names, self.leaves, self.moving, strict=True) if moves}

    def tree(self, params):
        """The model's own tree, with these parameters."""
        leaves = [params.get(name, leaf) for name, leaf in zip(self.names, self.leaves, strict=True)]
        tree = self.structure.unflatten(leaves)
        return self.nnx.merge(self.graph, tree) if self.nnx else tree

    def outputs(self, params, place=None, point=None, x=None):
        x = self.x if x is None else x
        if place is not None and place.kind == "input":
            leaves, structure = jax.tree.flatten(x)
            x = structure.unflatten([*leaves[: place.key], point, *leaves[place.key + 1 :]])
        elif place is not None and place.kind == "table":
            params = {**params, place.key: point}
        tree = self.tree(params)
        if place is None or place.kind != "output":
            return self.f(tree, x)
        with _intercepted(tree, lambda path, output: point if path == place.key else output):
            return self.f(tree, x)

    def read(self, outputs, labels=None):
        """Losses (B,), or one number."""
        found = self.loss(outputs, self.labels if labels is None else labels)
        if isinstance(found, tuple) and len(found) == 2:
            values, weights = found
            return values.sum() / weights.sum()
        found = jnp.asarray(found)
        return found.mean(tuple(range(1, found.ndim))) if found.ndim > 1 else found

    def problem(self, place, *, by_sample=False):
        one = (self.one_number and not by_sample) or place.kind == "table"
        point = place.point[0] if self.one_number and not one else place.point

        def run(params, x):
            return self.outputs(params, place, x[0] if one else x)

        def losses(params, x):
            found = self.read(run(params, x))
            return found.mean().reshape(1) if one else jnp.broadcast_to(found, (self.size,))

        def logits(params, x):
            outputs = run(params, x)
            pair = outputs.ndim == 1 or outputs.shape[1:] == (1,)
            flat = outputs.reshape(len(outputs), -1)
            flat = jnp.log(flat) if self.probable else flat
            return jnp.concatenate([flat, 0 * flat], 1) if pair else flat

        shapes = jax.eval_shape(run, self.parameters(), point)
        fits = (
            hasattr(shapes, "shape")
            and shapes.ndim in (1, 2)
            and shapes.shape[0] == len(point)
            and self.classes(shapes)
        )
        return Problem(losses, self.parameters(), point, logits if fits else None)

    def classes(self, outputs):
        """Whether labels say which of the outputs' classes a sample is of."""
        arrays = [np.asarray(leaf) for leaf in jax.tree.leaves(self.labels)]
        return all(speak_of_classes(leaf, outputs.shape) for leaf in arrays if leaf.ndim)

    # Places.

    def places(self):
        paths = jax.tree.leaves_with_path(self.x)
        found = [self.input(number, path, leaf, len(paths)) for number, (path, leaf) in enumerate(paths)]
        found = [place for place in found if place is not None]
        outputs = self.module_outputs()
        embedded = [place for place in outputs if place.note.startswith(EMBEDDINGS)]
        rest = [place for place in outputs if place not in embedded][:MOST]
        tables = self.tables() if not found else []
        return [*found, *embedded, *tables, *rest]

    def input(self, number, path, leaf, many):
        if not is_floating(leaf) or not jnp.ndim(leaf) or len(leaf) != self.size:
            return None
        name = name_of(path) if many > 1 else ""
        shape = " × ".join(map(str, leaf.shape[1:]))
        return Place(name, "input", self.rows(leaf), f"{leaf.dtype}, {shape}", number)

    def rows(self, point):
        return point[None] if self.one_number else point

    def tables(self):
        """Parameters of which rows are looked up."""
        return [
            Place(name, "table", leaf[None], f"table, {leaf.shape[0]} × {leaf.shape[1]}", name)
            for name, leaf in self.parameters().items()
            if leaf.ndim == 2 and steps.is_table(self, name)
        ]

    def module_outputs(self):
        """Outputs of the modules of Flax that are called once, with one row a sample."""
        seen, kinds = {}, {}

        def note(path, output):
            seen.setdefault(path, []).append(output)
            return output

        tree = self.tree(self.parameters())
        with _intercepted(tree, note), steps.linen_kinds(kinds), contextlib.suppress(Exception):
            self.f(tree, self.x)
        if self.nnx:
            kinds = {"/".join(map(str, path)): type(part).__name__ for path, part in self.nnx.iter_modules(self.module)}
        found = []
        for path, (output, *more) in seen.items():
            good = not more and is_floating(output) and output.ndim > 1 and len(output) == self.size
            if good and output[0].size <= WIDEST:
                kind = kinds.get(path) or path.rpartition("/")[2].rpartition("_")[0] or path
                shape = " × ".join(map(str, output.shape[1:]))
                found.append(Place(path, "output", self.rows(output), f"{kind}, {shape}", path))
        return found[:-1] if len(found) > 1 else found

    # What else is asked.

    def parts(self):
        return parts.called(self)

    def losses_of(self, rows):
        """The losses of some samples alone."""
        index = jnp.asarray(rows)
        x, labels = (
            jax.tree.map(lambda leaf: leaf[index] if jnp.ndim(leaf) and len(leaf) == self.size else leaf, tree)
            for tree in (self.x, self.labels)
        )
        return self.read(self.outputs(self.parameters(), x=x), labels).reshape(-1)

    def passes(self):
        """Two passes one after the other, of one module where it keeps something."""
        if self.nnx:
            return steps.nnx_passes(self)
        found = [self.read(self.outputs(self.parameters())).reshape(-1) for _ in range(2)]
        return found[0].tolist(), found[1].tolist(), {}

    def random(self):
        """Whether it draws: a function draws from keys that are given to it, which every pass shares."""
        return False

    def steps(self, place, radius, weight, mode):
        return steps.steps(self, place, radius, weight)

    def lines(self, place, radius, weight):
        return steps.lines(self, place, radius, weight)


def in_float64(leaf):
    return leaf.astype(jnp.float64) if is_floating(leaf) else leaf


def name_of(path):
    return jax.tree_util.keystr(path, simple=True, separator="/").removesuffix("/value")
