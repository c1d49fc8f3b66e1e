"""Perturbations along the gradient of the loss (Goodfellow et al. 2015; Miyato et al. 2017, eq. 5)."""

from typing import Any

import numpy as np

from equivalence.oracle.norms import unit
from equivalence.oracle.trees import scaled

Array = np.ndarray


def fgm(loss: Any, x: Array, *, radius: float, norm: str = "l2", scope: str = "sample") -> Array:
    """radius·g/‖g‖ ("l2"), radius·sign g ("linf") or radius·g ("raw"), (B, *S)."""
    gradient = loss.grad(x)
    if norm == "l2":
        gradient = unit(gradient, scope=scope)
    elif norm == "linf":
        gradient = np.sign(gradient.real)
    return radius * gradient


def fgm_pullback(loss: Any, x: Array, *, radius: float, norm: str = "l2", scope: str = "sample") -> Any:
    """Zeros whatever the cotangent (B, *S): the perturbation is held fixed."""
    return lambda cotangent: scaled(0, loss.vjp(x, np.zeros(len(x))))
