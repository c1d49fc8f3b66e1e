"""Noise on what lies inside a model: its parameters, and a hidden layer's output."""

from typing import Any

import numpy as np

from equivalence import oracle
from equivalence.measure import order
from equivalence.parts.noise import STEPS, TAIL, axes, expansion, signs
from equivalence.problem import Point, Problem
from equivalence.reference import Reference

Array = np.ndarray


def on_weights(problem: Problem, reference: Reference) -> dict[str, Any]:
    """Measure noise on one entry of each parameter, and its θ-gradient, against ½σ² times the trace of the Hessian."""
    params = reference.case.params
    of_params: Any = reference.point.of_params
    names, batch = sorted(params), reference.case.batch
    noise = signs(len(names))
    units = {name: np.eye(params[name].size)[params[name].size // 2].reshape(params[name].shape) for name in names}
    draws = [np.multiply.outer(noise.vectors[:, j], units[name]) for j, name in enumerate(names)]  # (K, *shape)

    def row(displacement: Array) -> Array:
        moved = {name: params[name] + z * units[name] for name, z in zip(names, displacement, strict=True)}
        pulled = of_params.vjp(moved, np.full(batch, 1 / batch))
        return np.concatenate([of_params(moved), reference.total((None, pulled))])

    def noisy(point: Point, sigma: Any, *draws: Any) -> Any:
        scaled = {name: sigma * draw for name, draw in zip(names, draws, strict=True)}
        return problem.methods.weight_noise(point.of_params, point.params, scaled)

    clean = row(np.zeros(len(names)))
    trace = oracle.derivative(lambda t: np.sum([row(t * e) for e in np.eye(len(names))], 0), order=2)

    def residuals(steps: Array) -> Array:
        second = clean + 0.5 * np.multiply.outer(steps**2, trace)
        return problem.rows(noisy, [(step, *draws) for step in steps]) - second

    return order(residuals, STEPS, TAIL, noise.order, noise.leading(row), scale=float(np.linalg.norm(clean)))


def on_hidden_layer(problem: Problem, reference: Reference) -> dict[str, Any]:
    """Measure noise on what a tanh network's first layer puts out, against ½σ² times the Laplacian in it."""
    methods, case, x = problem.methods, reference.case, reference.point.x
    width, batch = len(case.params["0.bias"]), case.batch
    first = ("0.weight", "0.bias")
    identity = dict(zip(first, (np.eye(width), np.zeros(width)), strict=True))  # in its place: the rest of the network

    def residual(point: Point, sigma: Any, noise: Any) -> Any:
        rest = {**point.params, **{name: problem.array(value) for name, value in identity.items()}}
        hidden = problem.models.mlp({name: point.params[name] for name in first}, point.x)  # (B, width), no tanh yet

        def loss(hidden: Any) -> Any:
            return methods.cross_entropy(problem.models.mlp(rest, hidden), point.labels)

        noisy = methods.noisy_loss(loss, hidden, sigma * noise)
        return noisy - loss(hidden) - 0.5 * sigma**2 * methods.laplacian(loss, hidden)

    layer = oracle.Model("mlp", {name: case.params[name] for name in first})
    loss = oracle.Loss(oracle.Model("mlp", case.params | identity), "cross_entropy", case.labels)

    def row(displacement: Array) -> Array:
        hidden = layer(x) + displacement
        hidden_bar, params_bar = loss.vjp(hidden, np.full(batch, 1 / batch))
        pulled = params_bar | layer.vjp(x, hidden_bar)[1]
        return np.concatenate([loss(hidden), reference.total((None, pulled))])

    return expansion(problem, residual, axes(width), row)
