"""Training on randomly perturbed inputs. Noise and masks may be complex: all of it is closed form."""

from typing import Any

import numpy as np

from equivalence.oracle.layers import Pulled
from equivalence.oracle.losses import one_hot
from equivalence.oracle.trees import add, scaled

Array = np.ndarray


def noisy_loss(loss: Any, x: Array, noise: Array) -> Array:
    """1/K Σₖ loss(x + noiseₖ), noise (K, B, *S) -> (B,)."""
    return np.mean([loss(x + z) for z in noise], axis=0)


def noisy_loss_pullback(loss: Any, x: Array, noise: Array) -> Any:
    def pullback(cotangent: Array) -> Pulled:
        return scaled(1 / len(noise), add(*(loss.vjp(x + z, cotangent) for z in noise)))

    return pullback


def consistency_loss(divergence: Any, f: Any, x: Array, noise: Array, *, outputs: Array | None = None) -> Array:
    """1/K Σₖ D(f(x), f(x + noiseₖ)), noise (K, B, *S) -> (B,)."""
    clean = f(x) if outputs is None else outputs  # (B, C)
    return np.mean([divergence(clean, f(x + z)) for z in noise], axis=0)


def consistency_loss_pullback(divergence: Any, f: Any, x: Array, noise: Array, *, outputs: Any = None) -> Any:
    """Through both sides; `outputs` is the closure that gave them, where it is another than f.

    `divergence` has `vjp(a, b, cotangent) -> (a_bar, b_bar)`, or is one of `pullbacks`' kind.
    """
    closure = f if outputs is None else outputs
    vjp = getattr(divergence, "vjp", lambda a, b, cotangent: divergence(a, b)(cotangent))

    def pullback(cotangent: Array) -> Pulled:
        clean, parts = closure(x), []
        for z in noise:
            clean_bar, noisy_bar = vjp(clean, f(x + z), cotangent)
            parts += [closure.vjp(x, clean_bar), f.vjp(x + z, noisy_bar)]
        return scaled(1 / len(noise), add(*parts))

    return pullback


def dropout_loss(loss: Any, x: Array, masks: Array) -> Array:
    """1/K Σₖ loss(x · maskₖ), masks (K, B, *S) -> (B,)."""
    return np.mean([loss(x * mask) for mask in masks], axis=0)


def dropout_loss_pullback(loss: Any, x: Array, masks: Array) -> Any:
    def pullback(cotangent: Array) -> Pulled:
        parts = []
        for mask in masks:
            masked_bar, params_bar = loss.vjp(x * mask, cotangent)
            parts.append((mask * masked_bar, params_bar))
        return scaled(1 / len(masks), add(*parts))

    return pullback


def smooth_labels(labels: Array, *, smoothing: float, like: Array) -> Array:
    """(1-s)·y + s/C, labels (B,) or (B, C) -> (B, C) (Szegedy et al. 2016, §7)."""
    classes = like.shape[1]
    return (1 - smoothing) * one_hot(labels, classes) + smoothing / classes
