"""KL(p(x)‖p(x+r)), p(x) held fixed, as a function of r: what the claims about virtual adversarial training share."""

from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from equivalence import oracle
from equivalence.claim import Methods
from equivalence.parts.composed import columns, softmax

Array = np.ndarray


def metric(point: Any) -> Array:
    """The Hessian at r = 0 in closed form, Jᵀ(diag p - ppᵀ)J, (B, n, n)."""
    p = oracle.values.softmax(point.f(point.x))  # (B, C)
    rows = oracle.values.jacobian(point.f, point.x)  # (B, C, n)
    mean = np.einsum("bc,bcn->bn", p, rows)
    return np.einsum("bc,bcm,bcn->bmn", p, rows, rows) - mean[:, :, None] * mean[:, None]


def product(point: Any, vector: Array) -> Array:
    """That Hessian times a vector, (B, *S), where the whole of it would be large."""
    p = oracle.values.softmax(point.f(point.x))
    change = oracle.derivative(lambda t: point.f(point.x + t * vector))  # Jv
    return point.f.vjp(point.x, p * (change - (p * change).sum(1, keepdims=True)))[0]


def stretch(point: Any, direction: Array) -> float:
    """‖J‖²/‖Hd‖, the largest of the batch: by how much a product H·d, normalised, magnifies what J is off by."""
    squares = (oracle.values.jacobian(point.f, point.x) ** 2).reshape(len(point.x), -1).sum(1)
    return float((squares / oracle.values.l2_norm(product(point, direction))).max())


def along(point: Any, direction: Array) -> Callable[[complex], Array]:
    """t -> KL(p(x)‖p(x + t·direction)), (B,), by the oracle."""
    return lambda t: oracle.values.kl_divergence(point.f(point.x), point.f(point.x + t * direction))


def difference_expansion(point: Any, direction: Array) -> tuple[Array, Array]:
    """∇ᵣKL at ξ·direction, made a unit vector: the limit for ξ → 0 and the coefficient of ξ, both (B, n)."""
    clean = oracle.values.softmax(point.f(point.x))

    def slope(t: complex) -> Array:
        moved = point.x + t * direction
        return point.f.vjp(moved, oracle.values.softmax(point.f(moved)) - clean)[0].reshape(len(clean), -1)

    first, second = oracle.derivative(slope), oracle.derivative(slope, order=2) / 2
    length = np.linalg.norm(first, axis=1, keepdims=True)
    limit = first / length
    return limit, (second - limit * (limit * second).sum(1, keepdims=True)) / length


def close_beside_far(kl_divergence: Callable[[Array, Array], Array]) -> Array:
    """How far divergences of close predictions are off, relative to them, where one class of one sample is not close.

    Neither prediction expects that class. Who chooses a form that does not cancel for a whole batch loses the others.
    """
    p = np.array([[0.3, -1.2, 0.5], [-40, 0.4, 1.1], [1.0, 0.2, -0.7]])
    q = p + 1e-7 * np.array([[1, -2, 1], [0, 1, -1], [-1, 1, 2]]) + [[0, 0, 0], [5, 0, 0], [0, 0, 0]]
    log_p, log_q = oracle.values.log_softmax(p), oracle.values.log_softmax(q)
    exact = (np.exp(log_p) * (log_p - log_q + np.expm1(log_q - log_p))).sum(1)
    return np.abs(kl_divergence(p, q) / exact - 1)


def misread(m: SimpleNamespace, change: Callable[[Any], Any]) -> Methods:
    """A wrong variant: the step of the finite difference is not the one that was asked for."""
    return {
        "vat_perturbation": lambda f, x, start, radius, xi=None, **options: m.vat_perturbation(
            f, x, start, radius=radius, xi=xi if xi is None else change(xi), **options
        )
    }


def differenced(m: SimpleNamespace, bridge: ModuleType) -> Methods:
    """A wrong variant: Jd of the Fisher product by a difference of logits, in the dtype that the model returns."""

    def vat_perturbation(f, x, start, radius, how="fisher", **options):
        if how != "fisher":
            return m.vat_perturbation(f, x, start, radius=radius, how=how, **options)
        clean, p = f(x), softmax(m, bridge, f(x))
        change = bridge.fixed(f(x + 2**-8 * m.unit(start)) - clean)
        weights = bridge.fixed(p * (change - sum(columns(p * change))[:, None]))
        return radius * m.fgm(lambda x: sum(columns(weights * f(x))), x, radius=1.0)

    return {"vat_perturbation": vat_perturbation}


def reversed_divergence(m: SimpleNamespace, bridge: ModuleType) -> Methods:
    """A wrong variant: KL(p(x+r)‖p(x)), which has the same value, slope and Hessian at r = 0."""

    def vat_loss(f, x, start, radius, entropy_weight=0.0, **options):
        r = m.vat_perturbation(f, x, start, radius=radius, **options)
        clean = f(x)
        loss = m.kl_divergence(f(x + r), bridge.fixed(clean))
        return loss + entropy_weight * m.entropy(clean)

    return {"vat_loss": vat_loss}
