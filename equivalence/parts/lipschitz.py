"""How steep matrices and networks are, by the framework and in closed form (C17)."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from equivalence import oracle
from equivalence.measure import equal
from equivalence.parts import power
from equivalence.parts.embedding import zero
from equivalence.parts.parameter import at
from equivalence.problem import Problem, flat
from equivalence.reference import Reference

Array = np.ndarray
SPECTRA = {
    "well-conditioned": (4, 2, 1, 0.5),
    "σ₂ near σ₁": (1, 0.9, 0.5, 0.1),
    "ill-conditioned": (1, 0.5, 1e-4, 1e-8),
}


class Matrix(NamedTuple):
    """U diag(values) Vᵀ, U (4, 4), values (4,), V (6, 4), and a start for power iteration, (4,)."""

    left: Array
    values: Array
    right: Array
    start: Array

    @property
    def weight(self) -> Array:
        return self.left * self.values @ self.right.T


def matrices() -> dict[str, Matrix]:
    """Matrices of SPECTRA, by name."""
    rng = np.random.default_rng(0)

    def basis(n: int) -> Array:
        return np.linalg.qr(rng.standard_normal((n, 4)))[0]

    return {
        name: Matrix(basis(4), np.array(values), basis(6), rng.standard_normal(4)) for name, values in SPECTRA.items()
    }


def rate(problem: Problem) -> dict[str, Any]:
    """Measure the power iteration of all matrices, step by step: WWᵀ is what it iterates, σ² its eigenvalue."""
    found = list(matrices().values())
    step = problem.compile(lambda point, weight, u: problem.methods.spectral_norm(weight, u))

    def turn(us: Array) -> tuple[Array, Array]:
        sigmas, turned = zip(*(step(matrix.weight, u) for matrix, u in zip(found, us, strict=True)), strict=True)
        return np.array(sigmas) ** 2, np.stack(turned)

    squares = np.stack([matrix.left * matrix.values**2 @ matrix.left.T for matrix in found])
    return power.iterated(turn, np.stack([matrix.start for matrix in found]), squares)


def spectral(problem: Problem) -> Callable[[Array, Array], dict[str, Array]]:
    """Take a matrix and a start to σ and its gradient, two steps at once and in turn, and to the matrix afterwards."""
    norm = problem.methods.spectral_norm

    def turn(point: Any, weight: Any, u: Any) -> dict[str, Any]:
        kept = weight * 1.0
        sigma, slopes = problem.bridge.value_and_grad(lambda params: norm(params["W"], u)[0])({"W": weight})
        in_turn, at_once = norm(weight, norm(weight, u)[1]), norm(weight, u, steps=2)
        return {"σ": sigma, "∂σ": slopes["W"], "in turn": in_turn, "at once": at_once, "changed": weight - kept}

    return problem.compile(turn, sweep=False)


def of_matrices(problem: Problem) -> Iterator[tuple[str, dict[str, Any]]]:
    """Power iteration's rate; at convergence σ and its derivative; and on the way there what is held fixed."""
    yield "rate", rate(problem)
    run = spectral(problem)
    for name, matrix in matrices().items():
        u, v = matrix.left[:, 0], matrix.right[:, 0]
        end, on_the_way = run(matrix.weight, u), run(matrix.weight, matrix.start)
        held = oracle.pullbacks.spectral_norm(matrix.weight, matrix.start)[0](1.0)
        yield f"σ, {name}", equal(end["σ"], matrix.values[0])
        yield f"∂σ, {name}", equal(end["∂σ"], np.outer(u, v))
        yield f"∂σ on the way, {name}", equal(on_the_way["∂σ"], held)
        for what, in_turn, at_once in zip("σu", on_the_way["in turn"], on_the_way["at once"], strict=True):
            yield f"warm start, {what}, {name}", equal(in_turn, at_once)
        yield f"weight, {name}", zero(on_the_way["changed"])


def network(problem: Problem) -> Callable[..., tuple[Array, list[Array], Array]]:
    """(parameters, x, y) -> the Lipschitz bound, its gradients, and the difference quotient of each pair."""

    def both(params: Any, point_at: Any, points: Any, *arrays: Any) -> tuple[Any, Any, Any]:
        layers, us = arrays[: len(arrays) // 2], arrays[len(arrays) // 2 :]
        names = [str(number) for number in range(len(layers))]

        def of_layers(layers: Any) -> Any:
            return problem.methods.lipschitz_bound([layers[name] for name in names], us)

        bound, slopes = problem.bridge.value_and_grad(of_layers)(dict(zip(names, layers, strict=True)))
        return bound, [slopes[name] for name in names], point_at(params).f(points)

    run = at(problem, both, sweep=False)

    def evaluate(params: dict[str, Array], x: Array, y: Array) -> tuple[Array, list[Array], Array]:
        layers = weights(params)
        bound, slopes, outputs = run(flat(params), np.concatenate([x, y]), *layers, *map(top, layers))
        moved = np.linalg.norm((x - y).reshape(len(x), -1), axis=1)
        return bound, slopes, np.linalg.norm(outputs[: len(x)] - outputs[len(x) :], axis=1) / moved

    return evaluate


def weights(params: dict[str, Array]) -> list[Array]:
    """Matrices and kernels by name; one that reads every input once is a matrix."""
    found = [value for name, value in sorted(params.items()) if value.ndim > 1]
    return [*found[:-1], found[-1].reshape(len(found[-1]), -1)]


def singular(weight: Array) -> tuple[Array, Array, Array]:
    return np.linalg.svd(weight.reshape(len(weight), -1), full_matrices=False)


def top(weight: Array) -> Array:
    """The left singular vector of the largest value, from which power iteration need not go on."""
    return singular(weight)[0][:, 0]


def product(params: dict[str, Array]) -> float:
    """Πσ₁√ΠK over the layers."""
    return math.prod(singular(weight)[1][0] * math.prod(weight.shape[2:]) ** 0.5 for weight in weights(params))


def product_gradients(params: dict[str, Array]) -> list[Array]:
    """The product's gradients: uvᵀ, times what the other layers make of it."""
    found = []
    for weight in weights(params):
        left, values, right = singular(weight)
        found.append(product(params) / values[0] * np.outer(left[:, 0], right[0]).reshape(weight.shape))
    return found


def pairs(reference: Reference) -> tuple[Array, Array]:
    """The samples, and what lies near to and far from them at random and where the network is steepest."""
    x, rng = reference.point.x, np.random.default_rng(0)
    rows = np.linalg.svd(oracle.values.jacobian(reference.point.f, x), full_matrices=False)[2][:, 0]  # (B, n)
    directions = np.concatenate([rng.standard_normal((3, *x.shape)), rows.reshape(1, *x.shape)])
    moves = np.concatenate([size * directions for size in (2.0**-10, 1.0, 16.0)])  # (12, B, *S)
    return np.broadcast_to(x, moves.shape).reshape(-1, *x.shape[1:]), (x + moves).reshape(-1, *x.shape[1:])


def aligned(params: dict[str, Array]) -> tuple[dict[str, Array], Array]:
    """Layers turned so that each hands the next its steepest direction, no biases; and that direction, (n,)."""
    names = sorted(name for name, value in params.items() if value.ndim == 2)
    turned = {name: np.zeros_like(value) for name, value in params.items()}
    first = handed = singular(params[names[0]])[2][0]
    for name in names:
        left, _, right = singular(params[name])
        turned[name] = params[name] @ exchange(right[0], handed)
        handed = left[:, 0]
    return turned, first


def exchange(a: Array, b: Array) -> Array:
    """The reflection that takes each of two unit vectors to the other; the identity where they are one."""
    w = a - b
    return np.eye(len(w)) - 2 * np.outer(w, w) / (w @ w or 1)


def constant(params: dict[str, Array]) -> dict[str, Array]:
    """Kernels of equal numbers and no biases: what overlaps in a convolution then adds up."""
    return {name: (value.ndim > 1) * np.full_like(value, value.size**-0.5) for name, value in params.items()}
