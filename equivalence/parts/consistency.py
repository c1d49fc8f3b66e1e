"""The divergence between clean and noisy outputs: what it penalises, and what it bounds."""

from typing import Any

import numpy as np

from equivalence import oracle
from equivalence.measure import bound
from equivalence.parts.noise import expansion, signs
from equivalence.problem import Point, Problem
from equivalence.reference import Reference


def penalised(problem: Problem, reference: Reference, name: str, reverse: bool = False) -> dict[str, Any]:
    """Measure the consistency loss against the Tikhonov penalty and its θ-gradient, over all sign vectors.

    Args:
        name: the divergence's in the contract.
        reverse: its arguments are swapped, which leaves the penalty as it is.
    """
    methods, point, batch = problem.methods, reference.low_dimensional(), reference.case.batch
    straight = getattr(methods, name)
    oracles = f"reverse_{name}" if reverse else name

    def divergence(clean: Any, noisy: Any) -> Any:
        return straight(noisy, clean) if reverse else straight(clean, noisy)

    def residual(point: Point, sigma: Any, noise: Any) -> Any:
        point = problem.low_dimensional(point)
        consistency = methods.consistency_loss(divergence, point.f, point.x, sigma * noise)
        return consistency - 0.5 * sigma**2 * methods.tikhonov_penalty(name, point.f, point.x)

    def row(displacement: np.ndarray) -> np.ndarray:
        arguments = point.f, point.x, np.broadcast_to(displacement, (1, *point.x.shape))
        pulled = oracle.pullbacks.consistency_loss(getattr(oracle.pullbacks, oracles), *arguments)
        value = oracle.values.consistency_loss(getattr(oracle.values, oracles), *arguments)
        return np.concatenate([value, reference.total(pulled(np.full(batch, 1 / batch)))])

    return expansion(problem, residual, signs(point.x.shape[1]), row)


def split(problem: Problem, reference: Reference) -> dict[str, Any]:
    """Measure 2(‖f(x+ε)-f(x)‖² + ‖f(x)-y‖²) / ‖f(x+ε)-y‖², at least 1; y = 2f(x) - f(x+ε) attains it."""
    methods, point, noise = problem.methods, reference.point, reference.case.extra["noise"][:1]

    def ratio(point: Point, noise: Any, y: Any) -> Any:
        consistency = methods.consistency_loss(methods.squared_error, point.f, point.x, noise)
        clean = methods.squared_error(point.f(point.x), y)
        return 2 * (consistency + clean) / methods.squared_error(point.f(point.x + noise[0]), y)

    run = problem.compile(ratio, sweep=False)
    attained = 2 * point.f(point.x) - point.f(point.x + noise[0])
    ratios = np.array([run(noise, y) for y in (reference.case.extra["targets"], attained)])
    return bound(ratios, lower=1, slack=1e-14, tightest=1 + 1e-14)
