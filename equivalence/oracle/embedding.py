"""Perturbations of embeddings: of the table, or of the output with its padding left alone (Miyato et al. 2017)."""

from typing import Any

import numpy as np

from equivalence.oracle.closures import held_fixed
from equivalence.oracle.norms import steepest

Array = np.ndarray


def normalize_embedding(table: Array, frequencies: Array) -> Array:
    """(vₖ - E v)/√Var v, (V, D), frequencies (V,); 0 in a component that does not vary (their eq. 1-2)."""
    return _normalized(table, frequencies)[0]


def normalize_embedding_pullback(table: Array, frequencies: Array) -> Any:
    """The table's gradient, (V, D) -> (V, D): what is left of the cotangent beside a shift and a stretch."""
    normalized, deviation = _normalized(table, frequencies)
    share = (frequencies / frequencies.sum())[:, None]

    def pullback(cotangent: Array) -> Array:
        rest = cotangent - share * (cotangent.sum(0) + normalized * (cotangent * normalized).sum(0))
        return np.where(deviation == 0, 0, rest / np.where(deviation == 0, 1, deviation))

    return pullback


def _normalized(table: Array, frequencies: Array) -> tuple[Array, Array]:
    """The table (V, D) and the deviations √Var v (D,) that it was divided by."""
    share = frequencies / frequencies.sum()
    shifted = table - table[frequencies.argmax()]  # a token's that occurs: what does not vary is then exactly 0
    centred = shifted - share @ shifted
    deviation = np.sqrt(share @ centred**2)
    return np.where(deviation == 0, 0, centred / np.where(deviation == 0, 1, deviation)), deviation


def perturb_table(loss: Any, table: Array, *, radius: float, norm: str = "l2") -> Array:
    """FGM on the table, one norm for all of it, (V, D). loss: table -> (B,), vjp: -> (table_bar, params_bar)."""
    gradient = loss.vjp(table, np.ones(len(loss(table))))[0]
    return radius * steepest(gradient, norm=norm, scope="tensor")


def perturb_table_pullback(loss: Any, table: Array, *, radius: float, norm: str = "l2") -> Any:
    return held_fixed(loss, table)


def perturb_output(
    loss: Any, x: Array, mask: Array, *, radius: float, norm: str = "l2", scope: str = "sample"
) -> Array:
    """FGM with the gradient at padding set to 0 first, (B, T, D), mask (B, T)."""
    return radius * steepest(loss.grad(x) * mask[:, :, None], norm=norm, scope=scope)


def perturb_output_pullback(
    loss: Any, x: Array, mask: Array, *, radius: float, norm: str = "l2", scope: str = "sample"
) -> Any:
    return held_fixed(loss, x)
