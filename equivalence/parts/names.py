"""Other names that a method's arguments have: its closure holds them, and several of them are one array.

A call is made twice with the same numbers: the other names stand for the arrays themselves, or for copies.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from equivalence.foreign.guard import asked_about
from equivalence.measure import exact
from equivalence.mutant import planted
from equivalence.problem import Point, Problem
from equivalence.usages import USAGES, Usage

Array = Any  # or the parameters, a dict of arrays
OF_TOKENS = ("perturb_table", "perturb_output")
METHODS = (  # that take a closure and an array to call it with
    "noisy_loss", "consistency_loss", "dropout_loss", "fgm", "pgd", "adversarial_loss", "freelb_loss",
    "input_gradient_penalty", "jacobian_penalty", "tikhonov_penalty", "wgan_gradient_penalty", "hvp", "laplacian",
    "top_eigenpair", "vat_perturbation", "vat_loss", "parameter_gradient_penalty", "weight_noise", *OF_TOKENS,
)  # fmt: skip


def penalty(how: str) -> Usage:
    return Usage(
        f"input_gradient_penalty {how}",
        "input_gradient_penalty",
        lambda m, p: m.input_gradient_penalty(p.loss, p.x, how=how, xi=0.01),
    )


WAYS = (
    penalty("forward_over_reverse"),
    penalty("finite_difference"),
    Usage("vat_loss exact", "vat_loss", lambda m, p: m.vat_loss(p.f, p.x, p.extra.start, radius=0.5, how="exact")),
    *(usage for usage in USAGES if usage.name == "top_eigenpair lanczos"),
)
NAMED = (*(usage for usage in USAGES if usage.main and usage.method in METHODS), *WAYS)


class Holding:
    """z -> closure(z + held/2): a closure that holds an array of z's shape."""

    def __init__(self, closure: Callable[[Array], Array], held: Array):
        self.closure, self.held = closure, held

    def __call__(self, z: Array) -> Array:
        return self.closure(plus_half(z, self.held))


def as_one(closure: Any, x: Array, moved: Callable[[Array], Array] = lambda z: z) -> Any:
    """The closure with its argument, moved, for x wherever it holds x: planted mistakes take the two for one array."""
    if getattr(closure, "held", None) is not x:
        return closure
    return lambda z: closure.closure(plus_half(z, moved(z)))


def plus_half(z: Array, array: Array) -> Array:
    return {name: plus_half(z[name], array[name]) for name in z} if isinstance(z, dict) else z + array / 2


def copy(array: Array) -> Array:
    """Give the same numbers, with the same history, under another name."""
    return {name: copy(part) for name, part in array.items()} if isinstance(array, dict) else 1 * array


def renamed(args: tuple[Any, ...], other: Callable[[Array], Array]) -> tuple[Any, ...]:
    """The arguments with `other(x)` for what the closure holds and for every argument of the shape of x.

    x is the first array: a batch, a table or the parameters. The closure stands before it.
    """
    place = next(place for place, arg in enumerate(args) if isinstance(arg, dict) or hasattr(arg, "shape"))
    closure, x, rest = args[place - 1], args[place], args[place + 1 :]
    alike = (other(x) if shape(arg) == shape(x) else arg for arg in rest)
    return (*args[: place - 1], Holding(closure, other(x)), x, *alike)


def shape(array: Array) -> Any:
    return {name: shape(part) for name, part in array.items()} if isinstance(array, dict) else tuple(array.shape)


def objective(problem: Problem, usage: Usage, other: Callable[[Array], Array]) -> Callable[[Point], Array]:
    """The usage's objective with other names for the arguments of its method."""
    method = getattr(problem.methods, usage.method)
    methods = planted(
        problem.methods, {usage.method: lambda *args, **options: method(*renamed(args, other), **options)}
    )
    return lambda p: usage.call(methods, p)


def differences(problem: Problem, methods: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """How far each method's value and θ-gradient are from those that it has with copies.

    Of someone else's methods alone, unless one is among them that the others call: a norm, a divergence.
    """
    asked = asked_about(problem.methods)
    if not asked <= set(METHODS):
        asked = set(METHODS)
    usages = [usage for usage in NAMED if usage.method in asked.intersection(methods) and usage.applies(problem.case)]
    others = {"itself": lambda x: x, "a copy": copy}
    found = problem.program(
        {f"{usage.name} {name}": objective(problem, usage, other) for usage in usages for name, other in others.items()}
    )(problem)
    for usage in usages:
        pairs = zip(found[f"{usage.name} itself"], found[f"{usage.name} a copy"], strict=True)
        for part, (itself, copied) in zip(("value", "θ-gradient"), pairs, strict=True):
            yield f"{usage.name}, {part}", exact(itself - copied, float(np.abs(copied).max()), problem.dtype)
