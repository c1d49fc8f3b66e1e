"""One way in which the contract allows a function to be called, and what it must then give: numbers and gradients.

A usage (`equivalence/usages.py`) is a method within an objective, as it is trained with. A call is the function by
itself: all that it returns for one choice of options and one shape of arguments, and the gradient of each result in
each array that it was given. Values come from the same call of the oracle's function. Gradients come from the oracle's
pullback, and in arguments that have none from differences of the oracle's values.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from equivalence import oracle
from equivalence.agreement import MOVEMENT, MOVES, moved, shaken_logarithms
from equivalence.calls.scalars import FLOWING, ONE, with_arrays
from equivalence.problem import Point
from equivalence.reference import Reference

Array = np.ndarray
Leaves = dict[str, Array]
Pull = Callable[[Any], Callable[[Array], Any]]
FIXED = None  # stands for the pullback of a result through which no gradient flows
STENCIL = (4 / 5, -1 / 5, 4 / 105, -1 / 280)  # of a derivative to order 8, at 1 to 4 steps (Fornberg 1988, table 1)
STEPS = 2.0 ** -np.arange(3, 13)  # of differences: the two neighbours that agree best are believed
DIRECTIONS = 2  # along which a gradient is compared with a difference


@dataclass(frozen=True)
class Call:
    """A function called in one way.

    `call(m, p)` returns what the function returns. `pulls` has one entry for each result: a function of the oracle's
    point that gives the result's pullback, cotangent -> (x_bar, params_bar), or FIXED. `flows` names further arguments
    whose gradients are compared, "x" or arrays of the case's `extra`: there the oracle's values are differenced.
    `held` names those that are held fixed, as the start of an iteration is.
    Where the case has `exact` arithmetic, small integers in every order of operations, nothing is moved to find out how
    errors grow: at ties and zeros a moved problem has another answer.
    """

    method: str
    words: str
    case: str
    call: Callable[[Any, Point], Any]
    pulls: tuple[Pull | None, ...] = (FIXED,)
    flows: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    exact: bool = False

    @property
    def name(self) -> str:
        """What it is called in tables and records."""
        return f"{self.method}: {joined([self.words, self.case.removeprefix('call-')])}"

    def results(self, methods: Any, point: Point) -> tuple[Any, ...]:
        """All that the function returns."""
        found = self.call(methods, point)
        return tuple(found) if isinstance(found, tuple | list) else (found,)


@dataclass(frozen=True)
class Part:
    """What one result of a call must be: its value, and its gradients by the argument's name.

    A gradient is that of Σ weights·value / size. `errors` says how far those may be off that are differences.
    """

    value: Array
    gradients: Leaves
    errors: Mapping[str, float]


def joined(words: list[str]) -> str:
    """What tells a call from others, without what is empty."""
    return ", ".join(word for word in words if word)


def weights(shape: tuple[int, ...]) -> Array:
    """What a result's components are weighted with where it is differentiated: powers of two, exact to divide out."""
    return np.random.default_rng([7, *shape]).choice([-2.0, -1.0, 0.5, 1.0], shape)


def directions(shape: tuple[int, ...]) -> Array:
    """Directions along which a gradient is compared with a difference, (DIRECTIONS, *shape)."""
    return np.random.default_rng([1, *shape]).choice([-1.0, -0.5, 0.5, 1.0], (DIRECTIONS, *shape))


def expected(call: Call, reference: Reference, flows: tuple[str, ...] = ()) -> list[Part]:
    """What the oracle says of each of the call's results; differences are taken in `flows` alone."""
    found = call.results(oracle.values, reference.point)
    return [
        Part(np.asarray(value), *gradients(call, reference.point, part, np.asarray(value), pull, flows))
        for part, (value, pull) in enumerate(zip(found, call.pulls, strict=True))
    ]


def gradients(
    call: Call, point: Point, part: int, value: Array, pull: Pull | None, flows: tuple[str, ...]
) -> tuple[Leaves, dict[str, float]]:
    """The expected gradients of one result, and the errors of those that are differences."""
    named = {f"θ {name}": array for name, array in point.params.items()} | arguments(point)
    if pull is FIXED:
        return {name: np.zeros_like(array) for name, array in named.items()}, {}
    cotangent = weights(value.shape) / value.size
    x_bar, params_bar = pull(point)(cotangent)
    if x_bar is not None and point.case.tokens is not None:
        table = str(point.case.table)
        behind = oracle.embed_vjp(point.params[table], point.case.tokens, x_bar)
        params_bar = params_bar | {table: params_bar.get(table, 0) + behind}
    found = {f"θ {name}": params_bar.get(name, np.zeros_like(array)) for name, array in point.params.items()}
    if x_bar is not None and point.case.tokens is None:
        found["x"] = x_bar
    found |= {name: np.zeros_like(named[name]) for name in call.held}
    errors = {}
    for name in flows:
        found[name], errors[name] = difference(call, point, part, name, cotangent)
    return found, errors


def arguments(point: Point) -> Leaves:
    """The arrays beside the parameters that a gradient may flow through; x only where it is no embedding's output."""
    extra = {name: array for name, array in vars(point.extra).items() if np.asarray(array).dtype.kind == "f"}
    return extra | ({"x": point.x} if point.case.tokens is None else {})


def difference(call: Call, point: Point, part: int, name: str, cotangent: Array) -> tuple[Array, float]:
    """The derivatives of one weighted result along `directions` of an argument, and how far they may be off."""
    array = np.ones(()) if name == ONE else arguments(point)[name]

    def results(moved: Array) -> tuple[Any, ...]:
        if name == ONE:
            return call.results(with_arrays(oracle.values, call.method, moved), point)
        return call.results(oracle.values, at(point, name, moved))

    def along(direction: Array, step: float) -> float:
        def value(t: float) -> float:
            return float((cotangent * results(array + t * direction)[part]).sum())

        return sum(c * (value(k * step) - value(-k * step)) for k, c in enumerate(STENCIL, 1)) / step

    found = np.array([[along(direction, step) for direction in directions(array.shape)] for step in STEPS])
    errors = np.abs(np.diff(found, axis=0)).max(1)
    return found[errors.argmin()], float(errors.min())


def at(point: Point, name: str, array: Array) -> Point:
    """The point with one argument replaced."""
    if name == "x":
        return replace(point, x=array)
    return replace(point, extra=SimpleNamespace(**(vars(point.extra) | {name: array})))


def scales(exact: list[Part], others: list[list[Part]]) -> list[tuple[float, float]]:
    """The size of an error in each result's value and gradients: how large it is, and how much it moves when moved."""
    found = []
    for number, part in enumerate(exact):
        size = float(np.abs(part.value).max())
        moves = max(float(np.abs(other[number].value - part.value).max()) for other in others)
        slopes = [float(np.abs(gradient).max()) for gradient in part.gradients.values()]
        shifts = [
            float(np.abs(other[number].gradients[name] - gradient).max())
            for other in others
            for name, gradient in part.gradients.items()
            if name not in part.errors
        ]
        found.append((size + moves / MOVEMENT, (max(slopes) or size) + max(shifts, default=0.0) / MOVEMENT))
    return found


def references(call: Call, reference: Reference) -> tuple[list[Part], list[tuple[float, float]]]:
    """What the oracle expects of a call, and the scale of an error in each result (`equivalence.agreement`)."""
    rng = np.random.default_rng(0)
    numbers = (ONE,) if call.method in FLOWING and not call.exact else ()
    exact, others = expected(call, reference, call.flows + numbers), []
    for _ in range(0 if call.exact else MOVES):
        with shaken_logarithms(rng):
            others.append(expected(call, moved(reference, rng)))
    return exact, scales(exact, others or [exact])
