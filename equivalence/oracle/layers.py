"""What the text models are made of, with gradients. Analytic as the models are; most `_vjp` return (x_bar, params_bar).

A complex x meets real parameters at nearly every evaluation: products keep real factors real, since NumPy would turn a
whole matrix into complex numbers first.
"""

import numpy as np

Array = np.ndarray
Params = dict[str, Array]
Pulled = tuple[Array, Params]


def pool(hidden: Array, mask: Array) -> Array:
    """The mean over real positions, (B, T, O), mask (B, T) -> (B, O)."""
    return (hidden * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]


def affine(params: Params, name: str, x: Array) -> Array:
    """x (..., D) times a weight (*outputs, D), with a bias (*outputs)."""
    weight = params[f"{name}.weight"]
    return _product(x, np.moveaxis(weight, -1, 0), 1) + params[f"{name}.bias"]


def affine_vjp(params: Params, name: str, x: Array, cotangent: Array) -> Pulled:
    weight, rows = params[f"{name}.weight"], tuple(range(x.ndim - 1))
    weight_bar = np.tensordot(cotangent, x, (rows, rows))
    x_bar = _product(cotangent, weight, weight.ndim - 1)
    return x_bar, {f"{name}.weight": weight_bar, f"{name}.bias": cotangent.sum(rows)}


def _product(x: Array, weight: Array, axes: int) -> Array:
    """np.tensordot."""
    if np.iscomplexobj(x) and not np.iscomplexobj(weight):
        real, imaginary = np.tensordot(np.stack([x.real, x.imag]), weight, axes)
        return real + 1j * imaginary
    return np.tensordot(x, weight, axes)


def norm(params: Params, name: str, x: Array, epsilon: float = 1e-5) -> Array:
    """Layer normalisation, with a weight and a bias."""
    return _standardised(x, epsilon)[0] * params[f"{name}.weight"] + params[f"{name}.bias"]


def norm_vjp(params: Params, name: str, x: Array, cotangent: Array, epsilon: float = 1e-5) -> Pulled:
    z, scale = _standardised(x, epsilon)
    bar = cotangent * params[f"{name}.weight"]
    x_bar = (bar - bar.mean(-1, keepdims=True) - z * (bar * z).mean(-1, keepdims=True)) / scale
    return x_bar, {f"{name}.weight": (cotangent * z).sum((0, 1)), f"{name}.bias": cotangent.sum((0, 1))}


def _standardised(x: Array, epsilon: float) -> tuple[Array, Array]:
    """Mean 0 and variance 1 in each position, and the standard deviation that x was divided by."""
    centred = x - x.mean(-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    return centred / scale, scale


def attend(query: Array, key: Array, value: Array, mask: Array) -> tuple[Array, Array]:
    """Weights (B, heads, T, T), 0 at padding, and the values' means (B, T, heads, d) that they make."""
    scores = np.einsum("bqhd,bkhd->bhqk", query, key) / query.shape[-1] ** 0.5
    real = np.exp(scores - scores.real.max(-1, keepdims=True)) * mask[:, None, None]
    weights = real / real.sum(-1, keepdims=True)
    return weights, np.einsum("bhqk,bkhd->bqhd", weights, value)


def attend_vjp(query: Array, key: Array, value: Array, weights: Array, cotangent: Array) -> tuple[Array, Array, Array]:
    """Through the mixing of values and the softmax: gradients of query, key and value, (B, T, heads, d) each."""
    weights_bar = np.einsum("bqhd,bkhd->bhqk", cotangent, value)
    centred = weights_bar - (weights * weights_bar).sum(-1, keepdims=True)
    scores_bar = weights * centred / query.shape[-1] ** 0.5
    return (
        np.einsum("bhqk,bkhd->bqhd", scores_bar, key),
        np.einsum("bhqk,bqhd->bkhd", scores_bar, query),
        np.einsum("bhqk,bqhd->bkhd", weights, cotangent),
    )


def gelu(x: Array) -> tuple[Array, Array]:
    """The tanh form ½x(1 + tanh(√(2/π)(x + 0.044715x³))) and its derivative."""
    rate = (2 / np.pi) ** 0.5
    t = np.tanh(rate * (x + 0.044715 * x**3))
    slope = rate * (1 + 3 * 0.044715 * x**2) * (1 - t**2)
    return x * (1 + t) / 2, (1 + t + x * slope) / 2
