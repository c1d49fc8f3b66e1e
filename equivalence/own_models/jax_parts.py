"""The parts of a JAX model: segments of its program, halved again and again down to one operation.

A segment is a function of the values that go into it; a smooth function of the values that go out of it stands for the
loss. What a module's name or the user's line was is what JAX keeps beside each operation.
"""

import functools
import traceback

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal, jaxprs_in_params

from equivalence.own_models import Part, Problem
from impls.jax.sites import is_floating

INNER = ("jaxpr", "call_jaxpr")  # where operations that call a function keep it
CALLS = ("pjit", "jit", "closed_call", "remat", "checkpoint", "remat2")  # that are no more than what they call
SHIFT = "its input"


def called(own):
    """The model's program for its batch, with the losses at its end."""
    place = own.places()[0]
    problem = own.problem(place)
    closed = jax.make_jaxpr(problem.losses)(problem.params, place.point)
    values = [*jax.tree.leaves(problem.params), place.point]
    moved = [*values[:-1], others_moved(place.point)] if len(place.point) > 1 else values
    return program(closed, values, moved, own)


def others_moved(point):
    """Another batch around the first sample."""
    return jnp.concatenate([point[:1], 1.5 * point[1:] + point[1:].std() + 0.1])


def program(closed, values, moved, own):
    """A Part for all equations of a program on these values."""
    equations = list(closed.jaxpr.eqns)
    known, apart = (evaluated(closed, equations, given) for given in (values, moved))
    return segment(closed, equations, 0, len(equations), known, apart, own)


def dtypes_within(program):
    """The floating-point dtypes that lead to what a program returns, by name; what is drawn or compared does not."""
    needed = {variable for variable in program.outvars if not isinstance(variable, Literal)}
    found = set()
    for equation in reversed(program.eqns):
        made = [variable for variable in equation.outvars if variable in needed and is_floating(variable.aval)]
        given = {atom for atom in equation.invars if not isinstance(atom, Literal) and is_floating(atom.aval)}
        if made and given:  # a constant rounds nothing that moves
            found |= {str(variable.aval.dtype) for variable in made}
            needed |= given
            found = found.union(*map(dtypes_within, jaxprs_in_params(equation.params)))
    return found


def evaluated(closed, equations, values):
    """The value of every variable of a program."""
    known = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    known |= dict(zip(closed.jaxpr.invars, values, strict=True))
    run(equations, known)
    return known


def run(equations, known):
    """Evaluate equations one after the other; `known` grows."""
    for equation in equations:
        given = [read(known, atom) for atom in equation.invars]
        outputs = equation.primitive.bind(*given, **equation.primitive.get_bind_params(equation.params))
        outputs = outputs if equation.primitive.multiple_results else [outputs]
        known |= zip(equation.outvars, outputs, strict=True)


def read(known, atom):
    return atom.val if isinstance(atom, Literal) else known[atom]


def segment(closed, equations, first, last, known, apart, own):
    """The Part of equations from the first to the last."""
    some = equations[first:last]
    name = title(some[0]) if len(some) == 1 else f"{len(some)} operations"
    kind = some[0].primitive.name if len(some) == 1 else ""
    alone = functools.partial(isolated, closed, equations, first, last, known)
    part = Part(name, kind, alone, functools.partial(clues, some, own))
    if len(some) > 1:
        middle = (first + last) // 2
        part.children = [
            segment(closed, equations, *ends, known, apart, own) for ends in ((first, middle), (middle, last))
        ]
        return part
    part.mixes = functools.partial(mixes, some[0], known, apart)
    inner = next((some[0].params[name] for name in INNER if name in some[0].params), None)
    if some[0].primitive.name in CALLS and inner is not None and hasattr(inner, "consts") and inner.jaxpr.eqns:
        given, moved = ([read(values, atom) for atom in some[0].invars] for values in (known, apart))
        part.children = [program(inner, given, moved, own)]
    return part


def isolated(closed, equations, first, last, known):
    """A segment as a problem of the floating-point values that go into it."""
    some, later = equations[first:last], equations[last:]
    made = {variable for equation in some for variable in equation.outvars}
    needed = {atom for equation in later for atom in equation.invars if not isinstance(atom, Literal)}
    needed |= {atom for atom in closed.jaxpr.outvars if not isinstance(atom, Literal)}
    used = dict.fromkeys(
        atom for equation in some for atom in equation.invars if not isinstance(atom, Literal) and atom not in made
    )
    inputs = [atom for atom in used if is_floating(known[atom])]
    outputs = [variable for variable in dict.fromkeys(made) if variable in needed and is_floating(known[variable])]
    if not inputs or not outputs:
        return None
    shapes = [known[atom].shape for atom in inputs]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    x = jnp.concatenate([jnp.ravel(known[atom]) for atom in inputs])[None]
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(known[variable].shape) for variable in outputs]
    sizes = [1 + float(jnp.abs(known[variable]).max()) for variable in outputs]

    def losses(params, x):
        flat = jnp.split(x[0] + params[SHIFT], ends)
        here = {atom: known[atom] for atom in used}
        here |= {atom: part.reshape(shape) for atom, part, shape in zip(inputs, flat, shapes, strict=True)}
        run(some, here)
        terms = [
            jnp.sin(here[variable] / size + jnp.asarray(weight, here[variable].dtype)).sum()
            for variable, size, weight in zip(outputs, sizes, weights, strict=True)
        ]
        return sum(terms).reshape(1)

    return Problem(losses, {SHIFT: jnp.zeros_like(x[0])}, x)


def mixes(equation, known, apart, size):
    """Whether the first row of an output moves with other samples, though those of its inputs stay."""

    def rows_stay(atom):
        a, b = read(known, atom), read(apart, atom)
        return not (jnp.ndim(a) and len(a) == size) or not is_floating(a) or bool(jnp.allclose(a[0], b[0], 1e-3, 1e-6))

    if not all(map(rows_stay, equation.invars)):
        return False
    return any(not rows_stay(variable) for variable in equation.outvars)


def title(equation):
    """The module that an operation belongs to, and the line that it was written in."""
    stack, line = str(equation.source_info.name_stack), source(equation)
    name = equation.params.get("name") or equation.primitive.name
    return f"{stack or name}{f' at {line}' if line else ''}"


def source(equation):
    """File and line outside of JAX and Flax."""
    frame = jax._src.source_info_util.user_frame(equation.source_info.traceback)
    return f"{frame.file_name.rpartition('/')[2]}:{frame.start_line}" if frame else ""


def clues(some, own):
    """What in a segment may be behind a wrong derivative."""
    found = []
    for equation in some:
        name = equation.primitive.name
        if name == "stop_gradient":
            found.append(f"stop_gradient at {source(equation)} ends the gradient")
        elif name.startswith(("custom_vjp", "custom_jvp")):
            found.append(f"a jax.{name[:10]} of its own at {source(equation)}")
    return list(dict.fromkeys(found))


def users_line(error, path):
    """The line of the user's file that an error came through last."""
    numbers = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f" (line {numbers[-1]})" if numbers else ""
