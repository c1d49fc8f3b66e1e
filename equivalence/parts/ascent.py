"""Projected gradient ascent and its projections, against what is known of them exactly (C8)."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from equivalence.measure import ROUNDING_UNIT, bound, exact
from equivalence.problem import Problem

Array = np.ndarray
Named = tuple[str, dict[str, Any]]
DUALS = {"l2": (2, 2), "linf": (np.inf, 1), "l1": (1, np.inf)}  # orders of the ball's norm and of its dual
DIRECTIONS = np.array([[0.7, -1.3, 2.1, 0.4], [0, 0, -1, 0], [2, -2, 1, 2], [1, 1e-6, 0, -1e-3]])
GIVEN = np.concatenate([scale * DIRECTIONS for scale in (0.1, 2.0, 30.0, 1e8)])  # in radii: some are inside
CONDITION = 1 + np.linalg.norm(GIVEN, axis=1)
SLACK = 8 * ROUNDING_UNIT["float64"]


def variants(x: Array) -> dict[str, dict[str, Any]]:
    """PGD's options by name; in the box that just holds x, some components have no room on one side."""
    box = {"bounds": (float(x.min()), float(x.max()))}
    return {"l2": {"norm": "l2"}, "linf in a box": {"norm": "linf"} | box, "l1 in a box": {"norm": "l1"} | box}


def compiled(problem: Problem, ways: dict[str, dict[str, Any]], radius: float) -> Callable[..., Any]:
    """(length of a step, starts (V, B, n) of V ways) -> (one step, two steps, FGM), each (V, B, n); projections."""
    methods = problem.methods

    def run(point, given, step, starts):
        def ascent(start, options):
            common = {"radius": radius, "step": step, **options}
            one, two = (methods.pgd(point.loss, point.x, start, steps=steps, **common) for steps in (1, 2))
            return one, two, methods.fgm(point.loss, point.x, radius=step, norm=options["norm"])

        found = [ascent(starts[i], options) for i, options in enumerate(ways.values())]
        return found, [methods.project(given, radius=radius, norm=norm) for norm in DUALS]

    def ascend(step: float, starts: Array) -> tuple[Array, Array]:
        found, projected = ran(radius * GIVEN, step, starts)
        return np.stack([np.stack(parts) for parts in zip(*found, strict=True)]), np.stack(projected)

    ran = problem.compile(run)
    return ascend


def paths(found: Array, x: Array, ways: dict[str, dict[str, Any]], radius: float, step: float) -> Iterator[Named]:
    """Measure that r (K, V, B, n) never leave the ball, nor x + r the box where there is one.

    A step goes so far outside before it is projected, and r may be what is left of x + r: it rounds as these do.
    """
    largest = float(np.abs(x).max())
    for name, r in zip(ways, np.swapaxes(found, 0, 1), strict=True):
        order, _ = DUALS[ways[name]["norm"]]
        left, slack = 1 - np.linalg.norm(r, order, axis=-1) / radius, SLACK * (1 + (largest + step) / radius)
        if "bounds" in ways[name]:  # the box may keep all of them from the ball's surface
            lowest, highest = ways[name]["bounds"]
            yield f"in the ball: {name}", bound(left, 0.0, slack=slack)
            yield f"in the box: {name}", bound(np.minimum(x + r - lowest, highest - x - r), 0.0, slack=SLACK * largest)
        else:
            yield f"in the ball: {name}", bound(left, 0.0, slack=slack, tightest=slack)


def projections(found: Array, radius: float) -> Iterator[Named]:
    """Measure that projections p of z are the nearest points: in the ball ⟨z - p, ·⟩ is largest at p.

    A z that is off by u·‖z‖ has a p that is off by as much, since no projection on a convex set lets points part: an
    error counts in units of 1 + ‖z‖. The usual sort and threshold (Duchi et al. 2008) subtracts numbers of that size.
    """
    for p, (norm, (order, dual)) in zip(found / radius, DUALS.items(), strict=True):
        inside = np.linalg.norm(GIVEN, order, axis=1) <= 1
        left, kept, condition = (GIVEN - p)[~inside], p[~inside], CONDITION[~inside]
        attained = (left * kept).sum(1) / np.linalg.norm(left, dual, axis=1)
        yield (
            f"in the ball: projected, {norm}",
            bound((1 - np.linalg.norm(p, order, axis=1)) / CONDITION, 0.0, slack=SLACK),
        )
        yield f"nearest, {norm}", exact((attained - 1) / condition, 1.0, "float64")
        yield f"left alone, {norm}", exact((GIVEN - p)[inside], 1.0, "float64")


def trust_region(a: Array, gradient: Array, radius: float) -> Array:
    """The r of length `radius` at which g·r + ½rᵀAr is largest, (B, n): (λI - A)r = g, λ above A's eigenvalues.

    For a radius so small that the maximum is on the surface and g has a part along every eigenvector. λ by the secular
    equation ‖r(λ)‖ = radius (Conn, Gould & Toint 2000, §7.3), halving the interval that it lies in.
    """
    spectrum, basis = np.linalg.eigh(a)
    parts = gradient @ basis  # (B, n)
    low = np.full((len(parts), 1), max(spectrum.max(), 0.0))
    high = low + np.linalg.norm(parts, axis=1, keepdims=True) / radius  # there r is too short
    for _ in range(64):
        middle = (low + high) / 2
        long = np.linalg.norm(parts / (middle - spectrum), axis=1, keepdims=True) > radius
        low, high = np.where(long, middle, low), np.where(long, high, middle)
    return (parts / (high - spectrum)) @ basis.T
