"""The contract's functions in NumPy. Closures are those of `closures`; derivatives come from their hand-made gradients."""

from typing import Any

import numpy as np

from equivalence.oracle.derivative import derivative


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.real.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(log_softmax(logits))


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """(B, C), whatever form the labels have."""
    return labels if labels.ndim == 2 else np.eye(classes)[labels]


def cross_entropy(logits, labels):
    return -(one_hot(labels, logits.shape[1]) * log_softmax(logits)).sum(1)


def squared_error(outputs, targets):
    return ((outputs - targets) ** 2).sum(1)


def kl_divergence(p_logits, q_logits):
    return (softmax(p_logits) * (log_softmax(p_logits) - log_softmax(q_logits))).sum(1)


def entropy(logits):
    return -(softmax(logits) * log_softmax(logits)).sum(1)


def l2_norm(x):
    return np.linalg.norm(x.reshape(len(x), -1), axis=1)


def unit(x, *, scope="sample"):
    norm = l2_norm(x) if scope == "sample" else np.full(len(x), np.linalg.norm(x))
    return x / np.where(norm == 0, 1, norm).reshape(-1, *[1] * (x.ndim - 1))


def noisy_loss(loss, x, noise):
    return np.mean([loss(x + z) for z in noise], axis=0)


def consistency_loss(divergence, f, x, noise):
    return np.mean([divergence(f(x), f(x + z)) for z in noise], axis=0)


def fgm(loss, x, *, radius, norm="l2", scope="sample"):
    gradient = loss.grad(x)
    directions = {"l2": lambda: unit(gradient, scope=scope), "linf": lambda: np.sign(gradient), "raw": lambda: gradient}
    return radius * directions[norm]()


def input_gradient_penalty(loss, x, *, norm="l2_squared"):
    rows = loss.grad(x).reshape(len(x), -1)
    norms = {"l2_squared": lambda: (rows**2).sum(1), "l2": lambda: l2_norm(rows), "l1": lambda: np.abs(rows).sum(1)}
    return norms[norm]()


def jacobian(f: Any, x: np.ndarray) -> np.ndarray:
    """∂f/∂x, (B, C, n), a row a class."""
    batch, classes = f(x).shape
    rows = [f.vjp(x, np.broadcast_to(row, (batch, classes)))[0] for row in np.eye(classes)]
    return np.stack(rows, axis=1).reshape(batch, classes, -1)


def jacobian_penalty(f, x, *, weights=None, probes=None):
    rows = jacobian(f, x)
    if weights is not None:
        rows = rows * np.sqrt(weights)[:, :, None]
    if probes is None:
        return (rows**2).sum((1, 2))
    return (np.einsum("kbc,bcn->kbn", probes, rows) ** 2).sum(2).mean(0)


def hvp(loss, x, vector):
    return derivative(lambda t: loss.grad(x + t * vector))


def hessian(loss: Any, x: np.ndarray) -> np.ndarray:
    """∇²ₓ of each sample's loss, (B, n, n)."""
    units = np.eye(x[0].size).reshape(-1, 1, *x.shape[1:])
    products = [hvp(loss, x, np.broadcast_to(unit_vector, x.shape)) for unit_vector in units]
    return np.stack(products, axis=1).reshape(len(x), len(units), len(units))


def laplacian(loss, x, *, probes=None):
    if probes is None:
        return np.trace(hessian(loss, x), axis1=1, axis2=2)
    return np.mean([(v * hvp(loss, x, v)).reshape(len(x), -1).sum(1) for v in probes], axis=0)


def top_eigenpair(loss, x, start, *, steps):
    vector = unit(start)
    for _ in range(steps):
        vector = unit(hvp(loss, x, vector))
    return (vector * hvp(loss, x, vector)).reshape(len(x), -1).sum(1), vector


def divergence_gradient(f: Any, x: np.ndarray, r: np.ndarray) -> np.ndarray:
    """∇ᵣ KL(p(x)‖p(x+r)), p(x) fixed: the model's gradient of q - p."""
    return f.vjp(x + r, softmax(f(x + r)) - softmax(f(x)))[0]


def vat_perturbation(f, x, start, *, radius, xi=0.01, steps=1, how="finite_difference"):
    direction = unit(start)
    for _ in range(steps):
        if how == "exact":
            direction = unit(derivative(lambda t, d=direction: divergence_gradient(f, x, t * d)))
        else:
            direction = unit(divergence_gradient(f, x, xi * direction))
    return radius * direction


def vat_loss(f, x, start, *, radius, xi=0.01, steps=1, how="finite_difference"):
    perturbation = vat_perturbation(f, x, start, radius=radius, xi=xi, steps=steps, how=how)
    return kl_divergence(f(x), f(x + perturbation))
