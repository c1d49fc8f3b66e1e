"""JAX's derivatives, as its users nest them."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from equivalence.atlas.answers import ask
from equivalence.atlas.compositions import METRIC
from equivalence.atlas.jax import HEADER, MODES  # noqa: F401 - whoever measures asks for the modes here


def configure(threads):
    jax.config.update("jax_enable_x64", True)  # threads: XLA follows the process's CPU affinity
    jax.config.update("jax_default_matmul_precision", "highest")


def function(entry, shapes, linear=False, total=False):
    """The entry as a number of one flat vector: a sum of sines of its outputs, or of these alone."""
    space = {}
    exec(f"{HEADER}\n{entry.setup}", space)
    call = eval(f"lambda {', '.join(entry.inputs)}: {entry.call}", space)
    ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]

    def value(x):
        parts = [part.reshape(shape) for part, shape in zip(jnp.split(x, ends), shapes, strict=True)]
        output = call(*parts).reshape(-1)
        if total:
            return output.sum()
        weighted = output * jnp.linspace(0.5, 1.5, output.size, dtype=output.dtype)
        return (weighted if linear else jnp.sin(weighted)).sum()

    return value


def operators(mode):
    return reverse, forward


def reverse(function, direction):
    return lambda x: (jax.grad(function)(x) * direction).sum()


def forward(function, direction):
    return lambda x: jax.jvp(function, (x,), (direction,))[1]


def squared_gradient(function, mode):
    def squared(x):
        found = jax.grad(function)(x)
        return (found**2 * jnp.linspace(*METRIC, found.size, dtype=found.dtype)).sum()

    return squared


def values(function, dtype):
    compiled = jax.jit(lambda points: jax.lax.map(function, points))
    return lambda points: np.asarray(compiled(jnp.asarray(points, dtype)))


def run(derived, mode, x, triples, dtype):
    """What each derivative is at x along each triple of directions, or the error that it raised."""
    arguments = [[jnp.asarray(each, dtype) for each in (x, *triple)] for triple in triples]
    return ask(derived, lambda derivative: in_mode(derivative, mode), arguments, together=mode != "eager")


def in_mode(derivative, mode):
    if mode == "vmap":
        return jax.jit(mapped(derivative))
    return jax.jit(derivative) if mode == "jit" else derivative


def mapped(derivative):
    def run(x, *rest):
        two = jnp.stack([x + 0.05 * rest[0], x])  # the sample that is judged is not the first
        found = jax.vmap(derivative, in_axes=(0, None, None, None))(two, *rest)
        return jax.tree.map(lambda each: each[1], found)

    return run
