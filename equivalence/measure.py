"""How a claim's kinds are measured: ladders of steps, every sign vector, rounding units."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

KEPT = 512  # numbers of an array that a measurement stores
ROUNDING_UNIT = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
FULL, HALF = ("float64", "float32"), ("bfloat16", "float16")
HALF_CASE = "tanh-mlp"  # that agreement is measured on in half precision
MIXED = "mixed "  # before a dtype: parameters and inputs are float32, and the framework computes the model in it


def computed_in(dtype: str) -> str:
    """The dtype in which a model computes: that of its numbers, or another one where precision is mixed."""
    return dtype.removeprefix(MIXED)


def mixing(dtype: str) -> str:
    """How a model is trained that computes in a dtype: in half precision its parameters stay in float32."""
    return f"{MIXED}{dtype}" if dtype in HALF else dtype


def rounding_unit(dtype: str) -> float:
    """The largest relative error of one rounding where a model computes in a dtype, mixed or not."""
    return ROUNDING_UNIT[computed_in(dtype)]


def ladder(first: int, last: int) -> np.ndarray:
    """Powers of two, 2^first down to 2^last."""
    return 2.0 ** np.arange(first, last - 1, -1)


def order(
    residuals: Callable[[np.ndarray], np.ndarray],
    steps: np.ndarray,
    tail: np.ndarray,
    order: int,
    coefficient: np.ndarray,
    scale: float,
) -> dict[str, Any]:
    """Measure residual(ε) = c·εᵖ + …; where c is 0 by the oracle, the residual must vanish to rounding instead.

    Args:
        residuals: steps (S,) -> residual vectors (S, P).
        steps: the ladder, largest first.
        tail: steps at which the residual is rounding noise alone.
        order: p.
        coefficient: c (P,), computed independently.
        scale: size of the numbers whose difference the residual is.
    """
    vectors = residuals(np.concatenate([steps, tail]))
    norms = np.linalg.norm(vectors, axis=1)
    size = float(np.linalg.norm(coefficient))
    if size <= 1e-9 * scale:
        return exact(norms[: len(steps)] / np.maximum(steps, 1) ** order, scale, "float64")
    leading = vectors[: len(steps)] / steps[:, None] ** order
    extrapolated = 2 * leading[1:] - leading[:-1]  # the next order cancels
    return {
        "kind": "order",
        "order": order,
        "steps": steps.tolist(),
        "norms": norms[: len(steps)].tolist(),
        "tail": norms[len(steps) :].tolist(),
        "coefficient_errors": (np.linalg.norm(extrapolated - coefficient, axis=1) / size).tolist(),
        "coefficient": size,
    }


def equal(measured: np.ndarray, expected: np.ndarray, size: float = 0.0, dtype: str = "float64") -> dict[str, Any]:
    """Measure equality to rounding, relative to the largest expected entry or a size that is larger."""
    return exact(measured.astype(float) - expected, max(float(np.abs(expected).max()), size), dtype)


def differs(
    difference: np.ndarray, predicted: np.ndarray, scale: float = 0.0, dtype: str = "float64"
) -> dict[str, Any]:
    """Measure that two sides differ by the predicted amount to rounding.

    Args:
        difference: of the two sides, as measured.
        predicted: the same by theory.
        scale: size of what was subtracted; that of the prediction where it is larger.
        dtype: that was computed in.
    """
    difference, predicted = (np.ravel(array).astype(float) for array in np.broadcast_arrays(difference, predicted))
    furthest = np.argsort(-np.nan_to_num(abs(difference - predicted), nan=np.inf))[:KEPT]
    kept = np.append(furthest, abs(predicted).argmax())
    return {
        "kind": "differs",
        "difference": difference[kept].tolist(),
        "predicted": predicted[kept].tolist(),
        "scale": max(float(np.abs(predicted).max()), scale),
        "rounding unit": ROUNDING_UNIT[dtype],
    }


def bound(values: np.ndarray, lower: float, **options: float) -> dict[str, Any]:
    """Measure that values are at least `lower`; `slack` for rounding, `tightest` for how near it they must come."""
    kept = [float(np.min(values)), float(np.max(values))] if np.isfinite(values).all() else [np.nan]
    return {"kind": "bound", "values": kept, "lower": lower, **options}


def sampled(
    draws: Sequence[np.ndarray], distribution: Callable[[np.ndarray], np.ndarray], wrong: float
) -> dict[str, Any]:
    """Measure how far empirical distributions are from a distribution function.

    Args:
        draws: one array of independent numbers for each test.
        distribution: the exact cumulative distribution of all of them, numbers -> probabilities.
        wrong: distance of the named wrong sampler's distribution from it.
    """
    return {
        "kind": "sampler",
        "statistics": [distance(np.ravel(drawn).astype(float), distribution) for drawn in draws],
        "wrong": [wrong],
        "draws": min(np.size(drawn) for drawn in draws),
    }


def distance(drawn: np.ndarray, distribution: Callable[[np.ndarray], np.ndarray]) -> float:
    """Kolmogorov's: sup |Fₙ - F|, of a distribution that may have atoms."""
    values, counts = np.unique(drawn, return_counts=True)
    above = np.cumsum(counts) / len(drawn)
    at, before = distribution(values), distribution(np.nextafter(values, -np.inf))
    return float(np.max([np.abs(above - at), np.abs(np.concatenate([[0.0], above[:-1]]) - before)]))


def enumerated(estimates: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> dict[str, Any]:
    """Measure that estimates (K, B), one row a possible probe, have the given mean and variance (B,)."""
    return {
        "kind": "unbiased",
        "probes": len(estimates),
        "largest": float(np.abs(estimates).max()),
        "means": estimates.mean(0).tolist(),
        "variances": estimates.var(0).tolist(),
        "mean": mean.tolist(),
        "variance": variance.tolist(),
        "rounding unit": ROUNDING_UNIT["float64"],
    }


def exact(difference: np.ndarray, scale: float, dtype: str) -> dict[str, Any]:
    """Measure equality to rounding; only the largest difference is kept."""
    largest = np.abs(difference).max() if np.isfinite(difference).all() else np.nan
    return {"kind": "exact", "difference": float(largest), "scale": scale, "rounding unit": ROUNDING_UNIT[dtype]}


def not_covered(reason: str) -> dict[str, Any]:
    """Stand in the place of a measurement: an implementation says itself that it does not offer what was asked for."""
    return {"kind": "not covered", "reason": reason}


def every(nodes: list[float], n: int) -> np.ndarray:
    """Every vector of n components out of the nodes, (len(nodes)ⁿ, n), each equally likely."""
    return np.array(list(itertools.product(nodes, repeat=n)))


SIGNS = [-1.0, 1.0]  # mean 0, variance 1, fourth moment 1
NORMAL = [-(3**0.5), 0.0, 0.0, 0.0, 0.0, 3**0.5]  # Gauss–Hermite of 3 points: a normal's moments up to the fifth
SKEWED = [2**0.5, -(0.5**0.5), -(0.5**0.5)]  # mean 0, variance 1, third moment √½
