"""What C12 to C15 share: gradients at parameters (P,) that move, by the framework and by the oracle."""

from collections.abc import Callable
from typing import Any

import numpy as np

from equivalence import oracle
from equivalence.problem import Problem, flat
from equivalence.reference import Reference

Array = np.ndarray


def unflat(theta: Array, like: dict[str, Array]) -> dict[str, Array]:
    """Parameters by name from one vector, `flat`'s inverse."""
    names = sorted(like)
    ends = np.cumsum([like[name].size for name in names])[:-1]
    return {name: part.reshape(like[name].shape) for name, part in zip(names, np.split(theta, ends), strict=True)}


def at(problem: Problem, function: Callable[..., Any], sweep: bool = True) -> Callable[..., Any]:
    """(θ, *arrays) -> function(params, point_at, *arrays), compiled; `point_at` gives the point at other parameters."""
    names = sorted(problem.case.params)

    def point_at(params: Any) -> Any:
        return problem.at(params, problem.data, problem.extra)

    def step(point: Any, *arguments: Any) -> Any:
        return function(dict(zip(names, arguments, strict=False)), point_at, *arguments[len(names) :])

    run = problem.compile(step, sweep)
    return lambda theta, *arrays: run(*unflat(theta, problem.case.params).values(), *arrays)


def gradient(problem: Problem, objective: Callable[..., Any]) -> Callable[..., tuple[Array, Array]]:
    """(θ, *numbers) -> objective(point at θ, *numbers) and the gradient of its mean, (P,), by the framework."""
    run = at(
        problem,
        lambda params, point_at, *numbers: problem.bridge.value_and_grad(
            lambda params: objective(point_at(params), *numbers)
        )(params),
    )

    def evaluate(theta: Array, *numbers: float) -> tuple[Array, Array]:
        value, slopes = run(theta, *numbers)
        return value, flat(slopes)

    return evaluate


def sides(problem: Problem) -> Callable[..., tuple[Array, Array, dict[str, Array]]]:
    """(θ, row, u) -> each sample's ‖∇ₓℓ‖², σ of the first matrix, and ∇θ of the mean of row·ℓ by name."""

    def both(params: Any, point_at: Any, row: Any, u: Any) -> tuple[Any, Any, Any]:
        point = point_at(params)
        return (
            problem.methods.input_gradient_penalty(point.loss, point.x),
            problem.methods.spectral_norm(params[problem.case.table], u)[0],
            problem.bridge.value_and_grad(lambda params: row * point_at(params).loss(point.x))(params)[1],
        )

    return at(problem, both, sweep=False)


def mean(problem: Problem, losses: Any) -> Any:
    """Average losses (B,) to a number ()."""
    row = problem.array(np.full((1, problem.case.batch), 1 / problem.case.batch))
    return (row @ losses[:, None])[0, 0]


def slope(reference: Reference, theta: Array) -> Array:
    """∇θ of the mean loss, (P,), by the oracle; θ may be complex."""
    of_params: Any = reference.point.of_params  # the oracle's, with its pullback
    batch = reference.case.batch
    return flat(of_params.vjp(unflat(theta, reference.case.params), np.full(batch, 1 / batch)))


def bent(reference: Reference, theta: Array, vector: Array, order: int = 1) -> Array:
    """The order-th derivative of ∇θ of the mean loss along a vector (P,): Hv, and D³L[v, v] for order 2."""
    return oracle.derivative(lambda t: slope(reference, theta + t * vector), order)


def perturbed_bend(reference: Reference, theta: Array, norm: str) -> Array:
    """½∇θ of the mean of D²ₓℓ[d, d], d the direction of FGM, held fixed: what is left of ∇θℓ(x + εd) at ε²."""
    of_params: Any = reference.point.of_params
    loss, x = of_params.at(unflat(theta, reference.case.params))
    direction = oracle.values.fgm(loss, x, radius=1.0, norm=norm)
    weights = np.full(len(x), 1 / len(x))
    return oracle.derivative(lambda t: flat(loss.vjp(x + t * direction, weights)[1]), order=2) / 2


def trained(run: Callable[..., tuple[Array, Array]], theta: Array, radius: float, rate: float, updates: int) -> Array:
    """Follow gradient descent on an objective with a radius to its end; `run` is its `gradient`."""
    for _ in range(updates):
        theta = theta - rate * run(theta, radius)[1]
    return theta


def apart(reference: Reference, norm: str, rate: float, updates: int) -> Array:
    """δ of trainings on FGM's and on the penalised loss that end ε²δ apart: δ ← δ - rate·(Hδ + what FGM adds).

    H and what FGM adds belong to the plain training's θ, since what both trainings have in common drops out.
    """
    theta = flat(reference.case.params)
    delta = np.zeros_like(theta)
    for _ in range(updates):
        delta = delta - rate * (bent(reference, theta, delta) + perturbed_bend(reference, theta, norm))
        theta = theta - rate * slope(reference, theta)
    return delta


def runge_kutta(velocity: Callable[[Array], Array], start: Array, time: float) -> Array:
    """Follow the flow of a velocity field, up to O(time⁵): one classical step of fourth order."""
    first = velocity(start)
    second = velocity(start + time / 2 * first)
    third = velocity(start + time / 2 * second)
    fourth = velocity(start + time * third)
    return start + time / 6 * (first + 2 * second + 2 * third + fourth)
