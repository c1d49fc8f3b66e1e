"""What C10 and C11 perturb: a table or its output, with and without repeated tokens, beside padding, at any scale."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from equivalence.measure import exact
from equivalence.problem import Point, Problem

Array = Any
TABLE = "embedding.weight"


def perturbations(problem: Problem, norms: Sequence[str], radius: float) -> Callable[..., dict[str, Any]]:
    """Perturb, for each norm, the table, one with a row for each position, and the output; all have one norm."""
    methods = problem.methods

    def perturb(point: Point, own: Array, rows: Array) -> dict[str, Any]:
        def of_rows(table: Array) -> Array:
            return point.loss(problem.models.embed(table, own))

        found: dict[str, Any] = {}
        for norm in norms:
            options = {"radius": radius, "norm": norm}
            found[norm] = (
                methods.perturb_table(point.of_table, point.table, **options),
                methods.perturb_table(of_rows, rows, **options),
                methods.perturb_output(point.loss, point.x, point.extra.padding, scope="tensor", **options),
            )
        return found

    return perturb


def beside_padding(problem: Problem, radius: float) -> Callable[..., tuple[Array, Array]]:
    """Perturb two outputs that differ at padding alone; the loss has (leak·x)² there too, leak (1, T·D).

    Without a leak the model's own mask would hide what a method does at padding.
    """
    bias = problem.array(np.zeros(1))

    def perturb(point: Point, leak: Array) -> tuple[Array, Array]:
        mask = point.extra.padding
        held = (1 - mask)[:, :, None]

        def leaking(x: Array) -> Array:
            return point.loss(x) + problem.models.linear({"weight": leak, "bias": bias}, x * held)[:, 0] ** 2

        first, second = point.x, point.x + held * point.extra.vector
        return (
            problem.methods.perturb_output(leaking, first, mask, radius=radius),
            problem.methods.perturb_output(leaking, second, mask, radius=radius),
        )

    return perturb


def scaled(problem: Problem, radius: float) -> Callable[..., tuple[Array, Array, Array, Array]]:
    """Take the table times a scale to its normalised rows, the loss at a perturbation of these, and its gradient.

    At last the loss at a perturbation of the table as it is. There the network undoes the scale: its convolutions are
    divided by it, which leaves the clean loss what it was.
    """
    methods = problem.methods

    def attacked(loss: Callable[[Array], Array], x: Array, mask: Array) -> Array:
        return loss(x + methods.perturb_output(loss, x, mask, radius=radius))

    def perturb(point: Point, scale: Array) -> tuple[Array, Array, Array, Array]:
        table, mask = scale * point.table, point.extra.padding
        undone = {
            name: value / scale if "conv" in name and "weight" in name else value
            for name, value in point.params.items()
        }
        network = problem.at(undone | {TABLE: table}, problem.data, problem.extra)

        def of_table(params: dict[str, Array]) -> Array:
            rows = methods.normalize_embedding(params[TABLE], point.extra.frequencies)
            return attacked(point.loss, problem.models.embed(rows, problem.data["tokens"]), mask)

        losses, slopes = problem.bridge.value_and_grad(of_table)({TABLE: table})
        rows = methods.normalize_embedding(table, point.extra.frequencies)
        return rows, losses, slopes[TABLE], attacked(network.loss, network.x, mask)

    return perturb


def summed(gradient: np.ndarray, tokens: np.ndarray, size: int) -> np.ndarray:
    """Sum the gradients (B, T, D) at all positions of each of `size` tokens, (V, D)."""
    return np.einsum("btv,btd->vd", tokens[:, :, None] == np.arange(size), gradient)


def with_epsilon(table: Array, row: Array, epsilon: float) -> Array:
    """A usual mistake: rows (V, D) divided by √(variance + ε) under frequencies (1, V), which depends on the scale."""
    count = row @ (0 * table + 1)
    centred = table - row @ table / count
    return centred / (row @ centred**2 / count + epsilon) ** 0.5


def zero(array: np.ndarray) -> dict[str, Any]:
    """Measure that all numbers are 0, not merely small: how many are not."""
    return exact(np.array([np.count_nonzero(array)]), 1.0, "float64")
