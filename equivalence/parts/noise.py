"""Expectations over noise as sums over every noise vector, and their expansions in its size."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from equivalence import oracle
from equivalence.measure import SIGNS, SKEWED, equal, every, ladder, order
from equivalence.problem import Problem
from equivalence.reference import Reference

Array = np.ndarray
Row = Callable[[Array], Array]  # displacement (n,) -> values and θ-gradient side by side (B + P,), by the oracle

STEPS, TAIL = ladder(1, -13), ladder(-27, -28)
CIRCLE: dict[str, Any] = {"radius": 0.05, "points": 16}  # for derivatives in σ: so small that few points will do


@dataclass(frozen=True)
class Noise:
    """All vectors (K, n) of a noise with mean 0 and variance 1, equally likely, and what it leaves beside ½σ²Δ.

    That is σ^order times a sum of derivatives in which `moment`, E zᵢ^order, appears, and in one of order 4
    `mixed`, E zᵢ²zⱼ².
    """

    vectors: Array
    order: int
    moment: float
    mixed: float = 1.0

    @property
    def n(self) -> int:
        return self.vectors.shape[1]

    def leading(self, row: Row) -> Array:
        """The leading term of E row(σz): moment/6·Σ∂ᵢ³ (order 3), moment/24·Σ∂ᵢ⁴ + mixed/4·Σ_{i<j}∂ᵢ²∂ⱼ² (4).

        By polarisation 12·∂ᵢ²∂ⱼ² = D⁴ along eᵢ+eⱼ + D⁴ along eᵢ-eⱼ - 2∂ᵢ⁴ - 2∂ⱼ⁴.
        """
        units = np.eye(self.n)
        if self.order == 3:
            return oracle.derivative(lambda t: sum(row(t * e) for e in units), order=3, **CIRCLE) * self.moment / 6
        pairs = [a + sign * b for a, b in itertools.combinations(units, 2) for sign in SIGNS] if self.mixed else []

        def sums(t: complex) -> Array:
            single, double = (np.sum([row(t * d) for d in directions], 0) for directions in (units, pairs))
            return (self.moment - self.mixed * (self.n - 1)) / 24 * single + self.mixed * double / 48

        return oracle.derivative(sums, order=4, **CIRCLE)


def signs(n: int) -> Noise:
    return Noise(every(SIGNS, n), order=4, moment=1)


def axes(n: int) -> Noise:
    """One component at a time, ±√n: 2n vectors, where every sign vector would be 2ⁿ."""
    vectors = n**0.5 * np.concatenate([np.eye(n), -np.eye(n)])
    return Noise(vectors, order=4, moment=float(n), mixed=0.0)


def normal() -> Noise:
    """A rule in four dimensions: two of the components are ±√3, or none; its moments are a normal's up to the fifth."""
    vertices = [vector for vector in every([-(3**0.5), 0, 3**0.5], 4) if np.count_nonzero(vector) == 2]  # a 24-cell's
    return Noise(np.array(vertices + 12 * [np.zeros(4)]), order=4, moment=3)


def skewed(n: int) -> Noise:
    """Mean 0 and variance 1 are all that is asked of noise in many a text."""
    return Noise(every(SKEWED, n), order=3, moment=0.5**0.5)


def expansion(problem: Problem, residual: Callable[..., Any], noise: Noise, row: Row) -> dict[str, Any]:
    """Measure residual(point, σ, z) of all z (K, B, n) and its θ-gradient: what E row(σz) has beyond its ½σ²Δ."""
    vectors = spread(noise.vectors, problem.case.batch)

    def residuals(steps: Array) -> Array:
        return problem.rows(residual, [(step, vectors) for step in steps])

    scale = float(np.linalg.norm(row(np.ones(noise.n))))
    return order(residuals, STEPS, TAIL, noise.order, noise.leading(row), scale)


def spread(vectors: Array, batch: int) -> Array:
    """Repeat the vectors for each sample, (K, n) -> (K, B, n)."""
    return np.broadcast_to(vectors[:, None], (len(vectors), batch, vectors.shape[1]))


def side_by_side(reference: Reference, closure: Any, x: Array) -> Array:
    """A closure's values and their mean's θ-gradient by the oracle, (B + P,), as `Problem.rows` has them."""
    mean = np.full(reference.case.batch, 1 / reference.case.batch)
    return np.concatenate([closure(x), reference.total(closure.vjp(x, mean))])


def exactly(
    problem: Problem, objective: Callable[..., Any], arguments: Sequence[Sequence[Any]], expected: Any, copies: int = 1
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Measure in both precisions that an objective (B,) and its θ-gradient are as expected, (S, B + P).

    On average over so many copies of the batch, for which the arguments may differ.
    """
    for dtype in ("float64", "float32"):
        values, gradients = problem.in_dtype(dtype).tiled(copies).evaluate(objective, arguments)
        means = values.reshape(len(values), copies, -1).mean(1)
        yield dtype, equal(np.concatenate([means, gradients], axis=1), np.stack(expected), dtype=dtype)
