"""What a seed decides: with each of its bits all numbers, and the same ones however it comes (B3)."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from equivalence.measure import bound, exact
from equivalence.parts.distributions import REPEATED, Draws, Named, recurring
from equivalence.problem import Problem

BITS = 32
SEEDS = (0, *(2**bit for bit in range(BITS)))
COINS = ("rademacher", "dropout_mask")
Asked = tuple[Callable[..., dict[str, Any]], tuple[int, ...]]  # `numbers` or `points`, and a shape


def by_number(problem: Problem, seed: int, *asked: Asked) -> tuple[Draws, ...]:
    """What samplers draw, with the seed as a number."""
    return problem.compile(lambda point: draw_all(problem, seed, asked), sweep=False)()


def by_array(problem: Problem, *asked: Asked) -> Callable[[int], tuple[Draws, ...]]:
    """Draw for any seed, which comes as an array where it may be traced."""
    if problem.bridge.TRACED_SEEDS:
        return problem.compile(lambda point, seed: draw_all(problem, seed, asked))
    return lambda seed: by_number(problem, seed, *asked)


def draw_all(problem: Problem, seed: Any, asked: Sequence[Asked]) -> list[dict[str, Any]]:
    return [draw(problem.methods, seed, shape, problem.data["x"]) for draw, shape in asked]


def every_bit(found: Sequence[Draws]) -> Iterator[Named]:
    """Measure that seeds which differ in one bit give other numbers, none of which recur."""
    for name in found[0]:
        rows = np.stack([np.ravel(draws[name]) for draws in found])
        if name in COINS:
            alike = exact(np.array([len(rows) - len(np.unique(rows, axis=0))]), 1.0, "float64")
        else:
            alike = bound(np.array([REPEATED - recurring(rows)]), 0.0)
        yield f"{name}: every bit of the seed", alike


def same(first: Draws, second: Draws) -> dict[str, Any]:
    """Measure that two draws are equal."""
    return exact(np.concatenate([np.ravel(first[name] - second[name]) for name in first]), 1.0, "float64")
