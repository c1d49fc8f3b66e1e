"""Training on randomly perturbed inputs. The noise may be complex: all of it is closed form."""

from typing import Any

import numpy as np

from equivalence.oracle.models import Pulled
from equivalence.oracle.trees import add, scaled

Array = np.ndarray


def noisy_loss(loss: Any, x: Array, noise: Array) -> Array:
    """1/K Σₖ loss(x + noiseₖ), noise (K, B, *S) -> (B,)."""
    return np.mean([loss(x + z) for z in noise], axis=0)


def noisy_loss_pullback(loss: Any, x: Array, noise: Array) -> Any:
    def pullback(cotangent: Array) -> Pulled:
        return scaled(1 / len(noise), add(*(loss.vjp(x + z, cotangent) for z in noise)))

    return pullback


def consistency_loss(divergence: Any, f: Any, x: Array, noise: Array) -> Array:
    """1/K Σₖ D(f(x), f(x + noiseₖ)), noise (K, B, *S) -> (B,)."""
    clean = f(x)  # (B, C)
    return np.mean([divergence(clean, f(x + z)) for z in noise], axis=0)


def consistency_loss_pullback(divergence: Any, f: Any, x: Array, noise: Array) -> Any:
    """Through both sides. `divergence` has `vjp(a, b, cotangent) -> (a_bar, b_bar)`, or is one of `pullbacks`' kind."""
    vjp = getattr(divergence, "vjp", lambda a, b, cotangent: divergence(a, b)(cotangent))

    def pullback(cotangent: Array) -> Pulled:
        clean, parts = f(x), []
        for z in noise:
            clean_bar, noisy_bar = vjp(clean, f(x + z), cotangent)
            parts += [f.vjp(x, clean_bar), f.vjp(x + z, noisy_bar)]
        return scaled(1 / len(noise), add(*parts))

    return pullback
