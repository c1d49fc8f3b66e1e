"""Perturbations along the gradient of the loss, and training on them.

Goodfellow et al. 2015; Miyato et al. 2017, eq. 5; Madry et al. 2018; Zhu et al. 2020.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from equivalence.oracle.closures import held_fixed
from equivalence.oracle.layers import Pulled
from equivalence.oracle.norms import project, steepest
from equivalence.oracle.trees import add, scaled

Array = np.ndarray


def fgm(loss: Any, x: Array, *, radius: float, norm: str = "l2", scope: str = "sample") -> Array:
    """radius·g/‖g‖ ("l2"), radius·sign g ("linf"), all on the largest |gᵢ| ("l1") or radius·g ("raw"), (B, *S)."""
    return radius * steepest(loss.grad(x), norm=norm, scope=scope)


def fgm_pullback(loss: Any, x: Array, *, radius: float, norm: str = "l2", scope: str = "sample") -> Any:
    return held_fixed(loss, x)


def pgd(
    loss: Any,
    x: Array,
    start: Array,
    *,
    radius: float,
    step: float,
    steps: int,
    norm: str = "l2",
    bounds: tuple[float, float] | None = None,
) -> Array:
    """Projected gradient ascent from the start, the ball's and then the box's point at every step, (B, *S)."""
    return list(_ascent(loss, x, start, radius, step, steps, norm, bounds))[-1]


def pgd_pullback(
    loss: Any,
    x: Array,
    start: Array,
    *,
    radius: float,
    step: float,
    steps: int,
    norm: str = "l2",
    bounds: tuple[float, float] | None = None,
) -> Any:
    return held_fixed(loss, x)


def _ascent(
    loss: Any,
    x: Array,
    start: Array,
    radius: float,
    step: float,
    steps: int,
    norm: str,
    bounds: tuple[float, float] | None = None,
) -> Iterator[Array]:
    """r₀, …, r_K."""

    def inside(r: Array) -> Array:
        r = project(r, radius=radius, norm=norm)
        return r if bounds is None else np.clip(x + r, *bounds) - x

    r = inside(start)
    yield r
    for _ in range(steps):
        r = inside(r + step * steepest(loss.grad(x + r), norm=norm))
        yield r


def adversarial_loss(loss: Any, x: Array, perturbation: Array, *, clean_weight: float = 0.5) -> Array:
    """α·loss(x) + (1-α)·loss(x + r), (B,)."""
    adversarial = loss(x + perturbation)
    return adversarial if clean_weight == 0 else clean_weight * loss(x) + (1 - clean_weight) * adversarial


def adversarial_loss_pullback(loss: Any, x: Array, perturbation: Array, *, clean_weight: float = 0.5) -> Any:
    def pullback(cotangent: Array) -> Pulled:
        moved = loss.vjp(x + perturbation, cotangent)
        if clean_weight == 0:
            return moved
        return add(scaled(clean_weight, loss.vjp(x, cotangent)), scaled(1 - clean_weight, moved))

    return pullback


def freelb_loss(
    loss: Any, x: Array, start: Array, *, radius: float, step: float, steps: int, norm: str = "l2"
) -> tuple[Array, Array]:
    """1/K Σ loss(x + rₖ) over k < K, (B,), and r_K, (B, *S)."""
    *points, last = _ascent(loss, x, start, radius, step, steps, norm)
    return np.mean([loss(x + r) for r in points], axis=0), last


def freelb_loss_pullback(
    loss: Any, x: Array, start: Array, *, radius: float, step: float, steps: int, norm: str = "l2"
) -> tuple[Any, Any]:
    """A pair as the value is: the losses', with every rₖ held fixed, and zeros for the perturbation."""
    points = list(_ascent(loss, x, start, radius, step, steps, norm))[:-1]
    return (
        lambda cotangent: scaled(1 / steps, add(*(loss.vjp(x + r, cotangent) for r in points))),
        held_fixed(loss, x),
    )
