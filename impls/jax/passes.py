"""Passes through f: each begins with what the first began with, whatever f carries along.

Passes of a step share what they draw. A key among the arguments is the same in each pass. An NNX module is split, and
each pass is given a module of its own, put together anew; what the clean pass left in it is then put into the caller's.
"""

import contextlib
import functools
import math
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from impls.jax import finite, span
from impls.jax.adversarial import _scale, _unscaled
from impls.jax.replicas import Replicas
from impls.jax.sites import check_finite, find_site, named_leaf, program_of


class Model:
    """f with its parameters, and all that it takes beside x, as a tree of arrays."""

    def __init__(self, f, params, rest):
        self.f, self.given = f, (params, rest)
        self.nnx, self.begun = _flax_modules(self.given), False
        if self.nnx:
            self.graph, self.arrays = self.nnx.split(self.given)
        else:
            self.arrays = self.given

    def run(self, arrays, x, tap):
        """A pass. Those after the first use clones of its keys, which `jax_debug_key_reuse` knows to be meant."""
        arrays = jax.tree.map(lambda leaf: jax.random.clone(leaf) if self.begun and _is_key(leaf) else leaf, arrays)
        self.begun = True
        return self.call(arrays, x, tap)

    def call(self, arrays, x, tap):
        """What f returns, and what it left in NNX modules. Containers are new: Equinox's State is good for one use."""
        arrays = jax.tree.map(lambda leaf: leaf, arrays)
        params, rest = self.nnx.merge(self.graph, arrays) if self.nnx else arrays
        with tap(params):
            result = self.f(params, x, *rest)
        return result, self.nnx.state((params, rest), self.moved()) if self.nnx else None

    def trace(self, x, tap):
        """Run f without computing anything."""
        numbers, others = _separated(self.arrays)
        jax.eval_shape(lambda numbers: (self.call(_united(numbers, others), x, tap), None)[1], numbers)

    def jaxpr(self, x):
        """The program of f, and the leaves that are its inputs: first those of params."""
        numbers, others = _separated((self.arrays, x))

        def outputs(leaves):
            arrays, x = _united(tree.unflatten(leaves), others)
            outputs, _ = self.call(arrays, x, contextlib.nullcontext)
            return [leaf for leaf in jax.tree.leaves(outputs) if _is_array(leaf)]

        leaves, tree = jax.tree.flatten(numbers)
        return jax.make_jaxpr(outputs)(leaves).jaxpr, leaves

    def coarsest(self, x, dtype):
        """An array of the dtype with the fewest digits that f computes in, or a given one."""
        floating = [found for found in {dtype} | _dtypes(self.jaxpr(x)[0]) if jnp.issubdtype(found, jnp.floating)]
        return jnp.zeros((), max(floating, key=lambda found: jnp.finfo(found).eps))

    def moved(self):
        return self.nnx.All(self.nnx.Variable, self.nnx.Not(self.nnx.Param))

    def keeps_statistics(self):
        """Whether there are variables that are neither trained nor of random numbers."""
        if not self.nnx:
            return False
        others = self.nnx.All(self.moved(), self.nnx.Not(self.nnx.RngState))
        return bool(jax.tree.leaves(self.nnx.state(self.given, others)))

    def close(self, left):
        """Leave in the caller's modules what the clean pass left."""
        if self.nnx:
            self.nnx.update(self.given, left)

    def parameters(self, arrays=None):
        """Names and values of the leaves of params."""
        paths = jax.tree.leaves_with_path(self.arrays if arrays is None else arrays)
        paths = [(path[1:], leaf) for path, leaf in paths if _first(path) == 0]
        names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in paths]
        if self.nnx:  # a variable's array is its value
            names = [name.removesuffix("/value") for name in names]
        return names, [leaf for _, leaf in paths]

    def with_parameters(self, arrays, leaves):
        """The arrays with other values for the leaves of params."""
        every, tree = jax.tree.flatten(arrays)
        return tree.unflatten([*leaves, *every[len(leaves) :]])


def _flax_modules(tree):
    """The module flax.nnx where a tree has a part that it keeps references in."""
    nnx = sys.modules.get("flax.nnx")
    is_node = lambda node: nnx is not None and isinstance(node, nnx.Pytree)  # noqa: E731
    return nnx if any(map(is_node, jax.tree.leaves(tree, is_leaf=is_node))) else None


def _dtypes(jaxpr):
    """The dtypes of all that a program computes."""
    found = {
        variable.aval.dtype for equation in jaxpr.eqns for variable in equation.outvars if _is_array(variable.aval)
    }
    parts = [part for equation in jaxpr.eqns for part in jax.tree.leaves(list(equation.params.values()))]
    return found.union(*(_dtypes(inner) for inner in map(program_of, parts) if inner))


def _first(path):
    return getattr(path[0], "idx", getattr(path[0], "key", None))


def _is_array(leaf):
    return hasattr(leaf, "dtype") and hasattr(leaf, "shape")


def _separated(tree):
    """Arrays, and leaves that are none, each with None in the place of the others."""
    return (
        jax.tree.map(lambda leaf: leaf if _is_array(leaf) else None, tree),
        jax.tree.map(lambda leaf: None if _is_array(leaf) else leaf, tree),
    )


def _united(numbers, others):
    return jax.tree.map(
        lambda number, other: other if number is None else number, numbers, others, is_leaf=lambda leaf: leaf is None
    )


def hold(tree):
    """The tree with its arrays held fixed; other leaves, of Equinox's modules for instance, are what they are."""
    return jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if _is_array(leaf) else leaf, tree)


def _is_key(leaf):
    return _is_array(leaf) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


class Losses(NamedTuple):
    """What a loss returned: (B,), (B, T) or one number; weights of the same shape, or None."""

    values: Any
    weights: Any = None

    def plus(self, term):
        """Add something to each sample, (B,), or to all of them, (1,)."""
        if self.values.ndim == 0:
            return self._replace(values=self.values + _like(term.mean(), self.values))
        term = _like(term, self.values).reshape(-1, *[1] * (self.values.ndim - 1))
        return self._replace(values=self.values + (term if self.weights is None else self.weights * term))

    def mixed(self, other, share):
        """(1 - share) of this, share of the other."""
        share = _like(share, self.values)
        return self._replace(values=share * other.values + (1 - share) * self.values)


def _like(number, array):
    return jnp.asarray(number).astype(array.dtype)


class Options(NamedTuple):
    """What the objectives of all methods may be told."""

    where: str = "table"
    mask: Any = None
    logits: Any = None
    outputs: str = "softmax"
    has_aux: bool = False
    replicas: str = "all"
    axis_name: Any = None


class Passes:
    """The passes of one step: where r is added, and outputs and losses as functions of the arrays and the point."""

    def __init__(self, f, loss, target, options, params, x, labels, rest):
        """What cannot work is refused before a pass is made."""
        self.model, self.loss, self.x, self.labels, self.options = Model(f, params, rest), loss, x, labels, options
        self.mask = _mask(options.mask, x, rest)
        self.site = find_site(self.model, x, target, options.where, self.mask)
        self.replicas = Replicas((x, labels), options.axis_name, options.replicas)
        self.point = self.replicas.own(self.site.point) if self.site.one else self.site.point
        self.arrays, self.held = self.model.arrays, hold(self.model.arrays)
        self.sizes = _sizes(x) if self.site.one else {len(self.point)}

    def outputs(self, arrays, point=None):
        """Outputs with the point in its place, or as they are; and what else a pass leaves."""
        x, tap = self.x, contextlib.nullcontext
        if point is not None:
            arrays, x = self.site.put(arrays, x, point)
            tap = functools.partial(self.site.tap, point)
        result, left = self.model.run(arrays, x, tap)
        if not self.options.has_aux:
            return result, (None, left)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError(f"f: got a {type(result).__name__} from it, expected (outputs, state) as has_aux=True says")
        return result[0], (result[1], left)

    def keep_statistics(self):
        """Whether a pass may leave statistics, in which samples meet."""
        return self.options.has_aux or self.model.keeps_statistics()

    def left(self):
        """What the clean pass leaves, where it leaves anything."""
        return self.outputs(self.arrays)[1] if self.options.has_aux or self.model.nnx else (None, None)

    def losses(self, arrays, point=None):
        outputs, left = self.outputs(arrays, point)
        return self.read(outputs), left

    def read(self, outputs):
        """The loss of outputs, in one of the shapes that it may have."""
        found = self.loss(outputs, self.labels)
        values, weights = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
        fits = weights is None or jnp.shape(weights) == jnp.shape(values) != ()
        if not fits or not self.fits(jnp.shape(values)):
            got = jnp.shape(values) if weights is None else f"{jnp.shape(values)} with weights {jnp.shape(weights)}"
            sizes = " or ".join(f"({size},)" for size in sorted(self.sizes))
            raise ValueError(
                f"loss: got shape {got} from it, expected {sizes}: one loss a sample, not reduced over the batch (or"
                " one a token, (B, T) as the labels are; a pair of losses and their weights; the mean over all)"
            )
        held = None if weights is None else jax.lax.stop_gradient(jnp.asarray(weights))
        return Losses(check_finite("f, loss", jnp.asarray(values)), held)

    def fits(self, shape):
        """Whether a loss may have this shape: (), (B,), or (B, T) where labels have it."""
        tokens = [jnp.shape(leaf)[:2] for leaf in jax.tree.leaves(self.labels)]
        return shape == () or (shape[0] in self.sizes and (len(shape) == 1 or shape in tokens))

    def check_samples_first(self, beside=None):
        """Refuse a point whose rows evidently are time steps, each of which would have a vector of its own.

        beside: the shape of what there is one of a sample; None: of labels, where those are (B,).
        """
        shape = self.point.shape
        if beside is None:
            beside = getattr(self.labels, "shape", ())
            beside = beside if len(beside) == 1 else ()
        if not self.site.one and 1 != shape[0] != math.prod(beside[:1]) == math.prod(shape[1:2]):
            raise ValueError(
                f"target: got shape {shape} for {self.site.name} beside {beside[0]} labels or logits, expected samples"
                f" first, ({beside[0]}, ...): each row has a norm of its own"
            )

    def counts(self, losses, *, mean=False):
        """How much each number of a loss counts in that of its sample; with mean, in the mean of all there are."""
        values, weights = losses
        if values.ndim == 0:
            return jnp.ones_like(values)
        of_sample = tuple(range(1, values.ndim))
        if weights is not None:
            total = weights.sum(None if mean else of_sample, keepdims=True)
            return jnp.broadcast_to(1 / _nonzero(self.replicas.sum(total) if mean else total), values.shape)
        valid = jnp.ones_like(values) if values.ndim == 1 or self.mask is None else _like(self.mask, values)
        counts = valid / _nonzero(valid.sum(of_sample, keepdims=True))
        return counts / (len(values) * self.replicas.count) if mean else counts

    def differentiated(self, arrays, point, *, fixed, mean=False):
        """Losses at a point, what else the pass left, and a function that computes their gradient in the point."""
        reached = []

        def losses(point):
            found, left = self.losses(arrays, watched(point, reached))
            return found.values, (found.weights, left)

        values, pull, (weights, left) = jax.vjp(losses, point, has_aux=True)
        pull = hold(pull) if fixed else pull  # its residuals: no second derivative is asked for
        counts = self.counts(Losses(values, weights), mean=mean)
        return Losses(values, weights), left, lambda: self.pulled(pull, counts, self.scale(values), reached)

    def scale(self, values):
        """What losses are scaled by for a gradient: one a sample, or one where samples share a number."""
        values = jax.lax.stop_gradient(values)
        if self.site.one or values.ndim == 0:
            return _scale(self.replicas.largest(values.max()))
        return _scale(values.max(tuple(range(1, values.ndim))))

    def pulled(self, pull, counts, scale, reached):
        """The gradient in the point of what counts so much."""
        scaled = counts * scale.reshape(-1, *[1] * (counts.ndim - 1)) if scale.ndim else counts * scale
        return self.finished(_unscaled(pull(scaled)[0], scale), reached)

    def finished(self, gradient, reached):
        """A gradient over all replicas where there is one for all, 0 where the mask is.

        Raises:
            ValueError: nothing depends on the point.
        """
        if not reached:
            raise ValueError(
                f"target: got {self.site.name}, on which the loss does not depend; expected what f uses. Is there a"
                " stop_gradient on it, or is it not used at all?"
            )
        return check_finite("the loss's gradient", self.masked(self.summed(gradient)))

    def summed(self, gradient):
        """A table's gradient over all replicas; a sample's is its own."""
        return self.replicas.sum(gradient) if self.site.one else gradient

    def masked(self, r):
        return r if self.site.mask is None else r * self.site.mask.astype(r.dtype)

    def check_bounds(self, bounds):
        """Bounds are of inputs, which lie within them."""
        if self.site.kind != "input":
            raise ValueError(f"bounds: got {bounds} for {self.site.name}, expected None: they are of a model's input")
        lowest, highest = span(self.point) if finite(self.point) else bounds
        if lowest < bounds[0] or highest > bounds[1]:
            raise ValueError(
                f"x: got values from {lowest:.4g} to {highest:.4g}, expected them within the bounds {bounds}"
            )

    def drawn(self, draw, *, one):
        """draw(shape) for the whole batch, of which a replica keeps its rows; `one` vector is drawn as (1, n)."""
        shape, point = self.point.shape, self.point
        if self.site.one:
            return self.masked(beside(draw(shape), point))
        self.replicas.check()
        shape = (shape[0] * self.replicas.count, *shape[1:])
        whole = draw((1, math.prod(shape))).reshape(shape) if one else draw(shape)
        return self.masked(beside(self.replicas.rows(whole), point))

    def finish(self, losses, left):
        """What an objective returns, in the shape that the loss has; the clean pass's state is kept."""
        state, modules = left
        values = check_finite("f, loss", losses.values)
        self.model.close(modules)
        values = values if losses.weights is None else (values, losses.weights)
        return (values, state) if self.options.has_aux else values


def watched(point, reached):
    """The point; that a gradient arrives at it is noted."""

    @jax.custom_vjp
    def watch(point):
        return point

    def backward(_, slope):
        if isinstance(slope, jax.custom_derivatives.SymbolicZero):
            return (jnp.zeros(slope.shape, slope.dtype),)
        reached.append(True)
        return (slope,)

    watch.defvjp(lambda point: (point.value, None), backward, symbolic_zeros=True)
    return watch(point)


def beside(draws, point):
    """Draws as the point is sharded, where the mesh is explicit."""
    sharding = jax.typeof(point).sharding
    return draws if sharding.mesh.empty or not sharding.mesh.explicit_axes else jax.sharding.reshard(draws, sharding)


def _mask(mask, x, rest):
    if mask is None:
        return None
    return jax.lax.stop_gradient(jnp.asarray(mask(x, *rest) if callable(mask) else named_leaf(x, mask)))


def _sizes(x):
    """Leading sizes of what there is in x, of which one is the batch's."""
    shapes = [leaf.shape for leaf in jax.tree.leaves(x) if _is_array(leaf)]
    sizes = {shape[0] for shape in shapes if shape}
    if not sizes - {0}:
        shapes = ", ".join(map(str, shapes)) or "nothing"
        raise ValueError(f"x: got shape {shapes}, expected (B, *S) with at least one sample")
    return sizes - {0}


def _nonzero(total):
    return jnp.where(total == 0, 1, total)
