"""Power iteration, step by step, against an exact spectrum: angles to the eigenspace and the eigenpair at the end."""

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
STEPS = 40
FLOOR = 1e-7  # of a tangent that is compared; below it rounding takes over
TIED = 1e-6  # relative distance of eigenvalues that count as one


def iterated(turn: Callable[[Array], tuple[Array | None, Array]], start: Array, matrices: Array) -> dict[str, Any]:
    """Measure an implementation's power iteration, for the judge of kind "eigen".

    Args:
        turn: unit vectors (B, n) -> (eigenvalues found (B,), or None where it finds none, vectors one step on).
        start: (B, n), of any length.
        matrices: (B, n, n), symmetric, known independently of what is measured. An eigenvalue that the dominant one
            ties with belongs to its eigenspace; one of opposite sign and equal magnitude is not allowed.
    """
    spectrum, basis = np.linalg.eigh(matrices)  # (B, n), (B, n, n)
    dominant = np.take_along_axis(spectrum, np.abs(spectrum).argmax(1)[:, None], 1)  # (B, 1)
    top = np.abs(spectrum - dominant) <= TIED * np.abs(dominant)
    vectors = start / np.linalg.norm(start, axis=1, keepdims=True)
    parts = np.einsum("bi,bij->bj", vectors, basis)
    values, measured, predicted = None, [tangents(parts, top)], [tangents(parts, top)]
    for _ in range(STEPS):
        values, vectors = turn(vectors)
        measured.append(tangents(np.einsum("bi,bij->bj", vectors, basis), top))
        parts = parts * spectrum / dominant
        predicted.append(tangents(parts, top))
    products = np.einsum("bij,bj->bi", matrices, vectors)
    found = (vectors * products).sum(1) if values is None else values
    left = np.linalg.norm(products - found[:, None] * vectors, axis=1)
    return {
        "kind": "eigen",
        "tangents": np.stack(measured).tolist(),
        "predicted": np.stack(predicted).tolist(),
        "floor": FLOOR,
        "eigenvalues": found.tolist(),
        "expected": dominant[:, 0].tolist(),
        "residuals": (left / np.abs(dominant[:, 0])).tolist(),
    }


def tangents(parts: Array, top: Array) -> Array:
    """Tangents of the angles between vectors and an eigenspace, from parts along all eigenvectors: (B, n) -> (B,)."""
    inside = np.linalg.norm(parts * top, axis=1)
    return np.linalg.norm(parts * ~top, axis=1) / np.maximum(inside, 1e-300)
