"""Perturbations of, and penalties on, the parameters; flooding. Pullbacks give params_bar alone: there is no x."""

from typing import Any

import numpy as np

from equivalence.oracle.derivative import derivative
from equivalence.oracle.layers import Params
from equivalence.oracle.trees import add, leaves, scaled

Array = np.ndarray


def parameter_gradient_penalty(loss: Any, params: Params, *, rate: float) -> Array:
    """¼·rate·‖∇θL‖², L the mean of loss(params), () (Barrett & Dherin 2021, eq. 1-2)."""
    return rate / 4 * sum((part**2).sum() for part in _gradient(loss, params).values())


def parameter_gradient_penalty_pullback(loss: Any, params: Params, *, rate: float) -> Any:
    """Cotangent (). ½·rate·Hg, H = ∇²θL: the derivative of L's gradient along g."""
    if any(np.iscomplexobj(array) for array in leaves(params)):
        raise TypeError("params: got complex numbers, expected real ones: derivatives do not nest")

    def pullback(cotangent: Array) -> Params:
        gradient = _gradient(loss, params)
        product = derivative(lambda t: _gradient(loss, add(params, scaled(t, gradient))))
        return scaled(rate / 2 * cotangent, product)

    return pullback


def _gradient(loss: Any, params: Params) -> Params:
    """∇θ of the losses' mean."""
    batch = len(loss(params))
    return loss.vjp(params, np.full(batch, 1 / batch))


def flooding(loss: Array, *, level: float) -> Array:
    """|L - b| + b, of any shape (Ishida et al. 2020, eq. 4)."""
    return np.sign((loss - level).real) * (loss - level) + level


def flooding_pullback(loss: Array, *, level: float) -> Any:
    """The losses' gradient, of their shape."""
    return lambda cotangent: np.sign((loss - level).real) * cotangent


def weight_noise(loss: Any, params: Params, noise: Params) -> Array:
    """1/K Σₖ loss(params + noiseₖ), noise {name: (K, *shape)} -> (B,) (An 1996)."""
    return np.mean([loss(noisy) for noisy in _noisy(params, noise)], axis=0)


def weight_noise_pullback(loss: Any, params: Params, noise: Params) -> Any:
    copies = _noisy(params, noise)
    return lambda cotangent: scaled(1 / len(copies), add(*(loss.vjp(noisy, cotangent) for noisy in copies)))


def _noisy(params: Params, noise: Params) -> list[Params]:
    """The K copies of the parameters."""
    copies = zip(*noise.values(), strict=True)
    return [add(params, dict(zip(noise, copy, strict=True))) for copy in copies]
