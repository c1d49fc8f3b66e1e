"""Replicas of a mapped step, `jax.shard_map` or `jax.pmap`: what needs the whole batch is computed over all of them.

Under `jit` an array is the whole batch, however it is sharded, and nothing here is needed. In a mapped function each
replica has its rows. Two conventions for sums have to be told apart there. `shard_map` tracks what differs between
replicas: the gradient in a replicated table is by transposition the sum over all replicas already. With
`check_vma=False`, and in `pmap`, nothing is tracked, and each replica has its own.
"""

import math

import jax
import jax.numpy as jnp


class Replicas:
    """The axes over which the batch is split; none where each replica is to be by itself, or where there are none."""

    def __init__(self, batch, axis_name, replicas):
        manual = jax.sharding.get_abstract_mesh().manual_axes
        self.manual = set(manual)
        self.tracked = any(_varying(jax.lax.axis_index(name)) for name in manual)
        split = set().union(*(_varying(leaf) for leaf in jax.tree.leaves(batch))) if self.tracked else set()
        found = tuple(name for name in manual if name in split)
        self.alone = replicas == "local"
        self.split = found
        self.axes = () if self.alone else found if axis_name is None else _tuple(axis_name)
        self.count = math.prod(jax.lax.axis_size(name) for name in self.axes)

    def check(self):
        """Refuse what would silently be one replica's, where it cannot be seen over which axes the batch is split."""
        if self.manual and not (self.tracked or self.axes or self.alone):
            names = ", ".join(map(repr, sorted(self.manual)))
            raise ValueError(
                f"axis_name: got None in a function that is mapped over {names}, expected the axes over which the batch"
                f" is split: one perturbation for all samples, or a random start, is that of the whole batch. Pass"
                ' axis_name=, or replicas="local" for one a replica'
            )

    def own(self, point):
        """A table for itself on each replica, so that no gradient in it is summed over them."""
        missing = [name for name in self.split if name not in _varying(point)] if self.alone else []
        return jax.lax.pcast(point, tuple(missing), to="varying") if missing else point

    def sum(self, array):
        """The sum over all replicas, of what is not summed over them yet."""
        axes = tuple(name for name in self.axes if not self.tracked or name in _varying(array))
        return jax.lax.psum(array, axes) if axes else array

    def largest(self, array):
        """The largest over all replicas."""
        axes = tuple(name for name in self.axes if not self.tracked or name in _varying(array))
        return jax.lax.pmax(array, axes) if axes else array

    def whole(self, function, *arrays):
        """A function of whole batches, (n·B, *S) to the same shape, of which each replica keeps its rows."""
        if not self.axes:
            return function(*arrays)
        gathered = (jax.lax.all_gather(array, self.axes, tiled=True) for array in arrays)
        return self.rows(function(*gathered))

    def rows(self, whole):
        """This replica's rows of what is there for the whole batch, (n·B, *S) to (B, *S)."""
        if not self.axes:
            return whole
        size = len(whole) // self.count
        return jax.lax.dynamic_slice_in_dim(whole, jax.lax.axis_index(self.axes) * size, size)


def _tuple(names):
    return tuple(names) if isinstance(names, tuple | list) else (names,)


def _sharing(values, *given):
    """The mapped axes along which values vary and what they are of does not: a gradient in it is summed over them."""
    return tuple(sorted(_varying(values).difference(*map(_varying, given))))


def _varying(array):
    """The mapped axes along which it may differ, as far as that is tracked."""
    if not hasattr(array, "dtype"):
        return frozenset()
    kind = getattr(jax.typeof(jnp.asarray(array)), "manual_axis_type", None)
    return frozenset() if kind is None else kind.varying
