"""Spectral norms by power iteration, and their product (Miyato et al. 2018, alg. 1; Szegedy et al. 2014, §4.3)."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from equivalence.oracle.norms import plain_unit

Array = np.ndarray


def spectral_norm(weight: Array, u: Array, *, steps: int = 1) -> tuple[Array, Array]:
    """σ = uᵀWv, (), and u (O,), weight (O, *I)."""
    u, v = _singular_vectors(weight, u, steps)
    return u @ (_matrix(weight) @ v), u


def spectral_norm_pullback(weight: Array, u: Array, *, steps: int = 1) -> tuple[Any, Any]:
    """A pair as the value is, both the weight's gradient: σ's, u and v held fixed, and zeros for u."""
    outer = np.outer(*_singular_vectors(weight, u, steps)).reshape(weight.shape)
    return lambda cotangent: cotangent * outer, lambda cotangent: 0 * outer


def _matrix(weight: Array) -> Array:
    return weight.reshape(len(weight), -1)  # (O, n)


def _singular_vectors(weight: Array, u: Array, steps: int) -> tuple[Array, Array]:
    """u (O,) and v (n,) after the iterations."""
    for _ in range(steps):
        v = plain_unit((u @ _matrix(weight))[None])[0]
        u = plain_unit((_matrix(weight) @ v)[None])[0]
    return u, v


def lipschitz_bound(weights: Sequence[Array], us: Sequence[Array], *, steps: int = 1) -> Array:
    """Π σ√ΠK over the layers, (): a kernel (O, I, *K) reads an input at most ΠK times."""
    return np.prod(_factors(weights, us, steps))


def lipschitz_bound_pullback(weights: Sequence[Array], us: Sequence[Array], *, steps: int = 1) -> Any:
    """The weights' gradients, a tuple."""
    factors = _factors(weights, us, steps)

    def pullback(cotangent: Array) -> tuple[Array, ...]:
        bars = []
        for layer, (weight, u) in enumerate(zip(weights, us, strict=True)):
            others = np.prod(factors[:layer] + factors[layer + 1 :])
            norm_bar = cotangent * others * _reads(weight)
            bars.append(spectral_norm_pullback(weight, u, steps=steps)[0](norm_bar))
        return tuple(bars)

    return pullback


def _factors(weights: Sequence[Array], us: Sequence[Array], steps: int) -> list[Array]:
    return [spectral_norm(weight, u, steps=steps)[0] * _reads(weight) for weight, u in zip(weights, us, strict=True)]


def _reads(weight: Array) -> float:
    return math.sqrt(math.prod(weight.shape[2:]))
