"""Gradients of the contract's functions: same names and parameters, then cotangent -> (x_bar, params_bar).

A pullback returns the gradient of Σ_b cotangent_b · value_b. Losses take no closure: theirs is the gradient of each
array argument. A derivative of a gradient along a direction d is that of t -> ∇ℓ(x + t·d), which is analytic in t.
"""

from typing import Any

import numpy as np

from equivalence.oracle import values
from equivalence.oracle.derivative import derivative, tree_map
from equivalence.oracle.values import log_softmax, softmax

add = lambda *trees: tree_map(lambda *leaves: sum(leaves), *trees)  # noqa: E731
scaled = lambda factor, tree: tree_map(lambda leaf: factor * leaf, tree)  # noqa: E731


def samples(cotangent: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The cotangent (B,), shaped to multiply x (B, *S)."""
    return cotangent.reshape(-1, *[1] * (x.ndim - 1))


def cross_entropy(logits, labels):
    return lambda c: c[:, None] * (softmax(logits) - values.one_hot(labels, logits.shape[1]))


def squared_error(outputs, targets):
    return lambda c: (2 * c[:, None] * (outputs - targets), 2 * c[:, None] * (targets - outputs))


def kl_divergence(p_logits, q_logits):
    p, q = softmax(p_logits), softmax(q_logits)
    ratio = log_softmax(p_logits) - log_softmax(q_logits)
    mean = (p * ratio).sum(1, keepdims=True)
    return lambda c: (c[:, None] * p * (ratio - mean), c[:, None] * (q - p))


def reverse_kl_divergence(q_logits, p_logits):
    return lambda c: kl_divergence(p_logits, q_logits)(c)[::-1]


def entropy(logits):
    p, log_p = softmax(logits), log_softmax(logits)
    mean = (p * log_p).sum(1, keepdims=True)
    return lambda c: -c[:, None] * p * (log_p - mean)


def noisy_loss(loss, x, noise):
    return lambda c: scaled(1 / len(noise), add(*(loss.vjp(x + z, c) for z in noise)))


def consistency_loss(divergence, f, x, noise):
    """`divergence` is one of this module's functions of two arrays."""

    def pullback(c):
        parts = []
        for z in noise:
            clean_bar, noisy_bar = divergence(f(x), f(x + z))(c)
            parts += [f.vjp(x, clean_bar), f.vjp(x + z, noisy_bar)]
        return scaled(1 / len(noise), add(*parts))

    return pullback


def fgm(loss, x, *, radius, norm="l2", scope="sample"):
    return lambda c: scaled(0, loss.vjp(x, np.ones(len(x))))  # held fixed


def along(loss: Any, x: np.ndarray, direction: np.ndarray, order: int = 1) -> Any:
    """The order-th derivative of (∇ₓℓ, ∇θ Σℓ) along a direction, which is shortened for the circle's sake."""
    size = max(1.0, values.l2_norm(direction).max())
    ones = np.ones(len(x))
    return scaled(size**order, derivative(lambda t: loss.vjp(x + t * direction / size, ones), order))


def input_gradient_penalty(loss, x, *, norm="l2_squared"):
    gradient = loss.grad(x)
    slopes = {"l2_squared": lambda: 2 * gradient, "l2": lambda: values.unit(gradient), "l1": lambda: np.sign(gradient)}
    return lambda c: along(loss, x, samples(c, x) * slopes[norm]())


def jacobian_penalty(f, x, *, weights=None, probes=None):
    """The weights are held fixed."""
    batch, classes = f(x).shape
    root = np.ones((batch, classes)) if weights is None else np.sqrt(weights)
    rows = np.broadcast_to(np.eye(classes)[:, None], (classes, batch, classes)) if probes is None else probes

    def pullback(c):
        parts = []
        for row in rows * root:  # the gradient of c‖Jᵀη‖² is the derivative of fᵀη's gradient along 2c·Jᵀη
            direction = 2 * samples(c, x) * f.vjp(x, row)[0]
            parts.append(derivative(lambda t, row=row, d=direction: f.vjp(x + t * d, row)))
        return scaled(1 if probes is None else 1 / len(probes), add(*parts))

    return pullback


def hvp(loss, x, vector):
    """cotangent (B, *S). cᵀHv is a quarter of the curvature along v + c less that along v - c."""

    def pullback(c):
        size = values.l2_norm(c).max() / values.l2_norm(vector).max()
        plus, minus = (along(loss, x, vector + sign * c / size, 2) for sign in (1, -1))
        return scaled(size / 4, add(plus, scaled(-1, minus)))

    return pullback


def curvature(loss: Any, x: np.ndarray, vector: np.ndarray, c: np.ndarray) -> Any:
    """The gradient of Σ c·vᵀHv: the second derivative of c·ℓ's gradient along v."""
    size = max(1.0, values.l2_norm(vector).max())
    return scaled(size**2, derivative(lambda t: loss.vjp(x + t * vector / size, c), 2))


def laplacian(loss, x, *, probes=None):
    units = np.eye(x[0].size).reshape(-1, 1, *x.shape[1:])
    vectors = np.broadcast_to(units, (len(units), *x.shape)) if probes is None else probes
    share = 1 if probes is None else 1 / len(probes)
    return lambda c: scaled(share, add(*(curvature(loss, x, v, c) for v in vectors)))


def top_eigenpair(loss, x, start, *, steps):
    """Of the eigenvalue; the vector is held fixed."""
    vector = values.top_eigenpair(loss, x, start, steps=steps)[1]
    return lambda c: curvature(loss, x, vector, c)


def vat_perturbation(f, x, start, *, radius, xi=0.01, steps=1, how="finite_difference"):
    return lambda c: scaled(0, f.vjp(x, np.zeros_like(f(x))))  # held fixed


def vat_loss(f, x, start, *, radius, xi=0.01, steps=1, how="finite_difference"):
    moved = x + values.vat_perturbation(f, x, start, radius=radius, xi=xi, steps=steps, how=how)
    return lambda c: f.vjp(moved, c[:, None] * (softmax(f(moved)) - softmax(f(x))))
