"""All samplers together: many draws, whose distributions show, and a few in every shape, with many seeds (B3)."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from equivalence.measure import HALF
from equivalence.parts.distributions import (
    MOMENTS,
    RATE,
    SHAPE,
    Draws,
    Named,
    apart,
    at_rates,
    in_balls,
    masks,
    missing,
    moments,
    neighbours,
    normal,
    numbers,
    on_a_line,
    points,
    rare,
    rarely,
    shaped,
    supports,
    tests,
)
from equivalence.parts.seeds import SEEDS, by_array, by_number, every_bit, same
from equivalence.problem import Problem

FEW, LINE, BATCH, ONE, RARELY = (8, 3, 3), (2_000, 1), (6,), (1, 5), (2**20,)  # shapes


def many(problem: Problem) -> Iterator[Named]:
    """Measure so many draws that a distribution shows, in both precisions."""
    asked = (numbers, SHAPE), (points, SHAPE)
    drawing = by_array(problem, *asked)
    first, again, other = drawing(1), drawing(1), by_number(problem.in_dtype("float32"), 2, *asked)
    after = drawing(2)  # of the same bits as a part of `first`, if that part has a seed that was made by adding 1
    yield "same seed", same(together(first), together(again))
    yield from missing(together(first))
    for drawn, dtype in ((first, "float64"), (other, "float32")):
        yield shaped(together(drawn), SHAPE, dtype)
        yield from supports(together(drawn), dtype)
    yield from tests(together(first), together(other))
    yield from moments(by_number(problem, 3, (normal, (MOMENTS,)))[0]["gaussian"])
    yield from neighbours(together(first), together(after))


def few(problem: Problem) -> Iterator[Named]:
    """Measure a few numbers in every shape, with many seeds."""
    asked = (numbers, FEW), (points, FEW), (points, LINE), (numbers, BATCH), (points, ONE), (masks, FEW)
    found = [*map(by_array(problem, *asked), SEEDS)]
    for drawn, (_, shape) in zip(found[1], asked, strict=True):
        yield shaped(drawn, shape, "float64")
    yield from on_a_line(found[1][2])
    yield from in_balls(found[1][4])
    yield from at_rates(found[1][5])
    yield "same seed, a number or an array", same(found[1][3], *by_number(problem, SEEDS[1], (numbers, BATCH)))
    if problem.bridge.TRACED_SEEDS:
        yield "same rate, a number or an array", same(*with_a_traced_rate(problem))
    yield from every_bit([together(drawn[:2]) for drawn in found])
    yield from apart({name: np.stack([drawn[0][name] for drawn in found]) for name in found[0][0]}, "seed by seed")


def in_half_precision(problem: Problem) -> Iterator[Named]:
    """Measure what is rare: numbers of few bits are either so or much more often."""
    for dtype in HALF:
        yield from rarely(by_number(problem.in_dtype(dtype), 4, (rare, RARELY))[0], dtype)


def with_a_traced_rate(problem: Problem) -> tuple[Draws, Draws]:
    """Masks with a rate that is a number, and with one that is traced."""

    def mask(rate: Any) -> dict[str, Any]:
        return {"dropout_mask": problem.methods.dropout_mask(1, FEW, rate=rate, like=problem.data["x"])}

    return problem.compile(lambda p: mask(RATE), sweep=False)(), problem.compile(lambda p, rate: mask(rate))(RATE)


def together(drawn: Iterable[Draws]) -> Draws:
    """Draws of several samplers by name."""
    return {name: array for draws in drawn for name, array in draws.items()}
