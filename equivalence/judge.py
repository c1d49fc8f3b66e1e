"""Judges: measurements in, numbers and a verdict out. NumPy only; a bad measurement fails, it never raises.

A measurement is a dict of plain lists and numbers, so that a stored one can be judged again. Its "kind" names the
judge. Limits are stated here, once, with their reasons.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SLOPE_TOLERANCE = 0.1  # of a local slope; a wrong order is off by 1
COEFFICIENT_TOLERANCE = 0.01  # catches a gradient that is 3 % wrong, which no slope does
NOISE_MARGIN = 16  # residuals count from 16 × the noise: there the coefficient is known to 6 %, the slope to 0.1
LEAST_POINTS = 5
EXACT_UNITS = 64  # rounding units × scale; sums over up to a thousand terms round to some tens of units
AGREEMENT_UNITS = 32  # rounding units × condition; the largest honest error seen is about half of it
RATE_TOLERANCE = 0.05


@dataclass(frozen=True)
class Verdict:
    """What a judge says: whether the claim holds, the reason in words, and the numbers it rests on."""

    holds: bool
    reason: str
    numbers: dict[str, float] = field(default_factory=dict)


def judge(measurement: dict[str, Any]) -> Verdict:
    """Judge one measurement by its kind."""
    kind = measurement.get("kind")
    if kind not in JUDGES:
        return Verdict(False, f"measurement of unknown kind {kind!r}, expected one of {', '.join(JUDGES)}")
    try:
        return JUDGES[kind](measurement)
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError) as error:
        return Verdict(False, f"the measurement cannot be judged: {type(error).__name__}: {error}")


def judge_all(parts: dict[str, dict[str, Any]]) -> Verdict:
    """Judge a claim's parts; all must hold. Numbers are prefixed with the part's name where there are several."""
    if not parts:
        return Verdict(False, "nothing was measured")
    verdicts = {name: judge(part) for name, part in parts.items()}
    numbers = {f"{name}: {key}": value for name, verdict in verdicts.items() for key, value in verdict.numbers.items()}
    failed = [f"{name}: {verdict.reason}" for name, verdict in verdicts.items() if not verdict.holds]
    passed = "; ".join(f"{name}: {verdict.reason}" for name, verdict in verdicts.items())
    return Verdict(not failed, "; ".join(failed) if failed else passed, numbers)


def array_of(measurement: dict[str, Any], name: str) -> np.ndarray:
    values = np.asarray(measurement[name], dtype=float)
    if values.size == 0:
        raise ValueError(f"{name} is empty")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has {int((~np.isfinite(values)).sum())} values that are not finite")
    return values


def judge_order(measurement: dict[str, Any]) -> Verdict:
    """|residual| = c·εᵖ + …: slope p and coefficient c on the longest window above the noise.

    `steps` and `norms` are the ladder, largest step first; `coefficient_errors` one Richardson-extrapolated relative
    error of residual/εᵖ against c for each consecutive pair; `tail` residuals at steps so small that only rounding is
    left. Detects a slope off by 0.1 and a coefficient off by 1 %.
    """
    order = float(measurement["order"])
    steps, norms, tail = (array_of(measurement, name) for name in ("steps", "norms", "tail"))
    errors = array_of(measurement, "coefficient_errors")
    noise = float(tail.max())
    above = norms > NOISE_MARGIN * noise
    if not above.any():
        return Verdict(False, f"every residual is rounding noise (at most {norms.max():.1e}); expected order {order:g}")
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.diff(np.log2(norms)) / np.diff(np.log2(steps))
    fits = above[1:] & above[:-1] & (np.abs(slopes - order) <= SLOPE_TOLERANCE)
    first, last = longest_run(fits)
    points = last - first + 1 if last > first else 0
    numbers = {"points": float(points), "noise": noise}
    if points < LEAST_POINTS:
        return Verdict(
            False,
            f"order {order:g} on only {points} consecutive steps, {LEAST_POINTS} needed; local slopes"
            f" {np.round(slopes[above[1:]], 2).tolist()}",
            numbers,
        )
    window = slice(first, last + 1)
    slope = float(np.polyfit(np.log2(steps[window]), np.log2(norms[window]), 1)[0])
    coefficient_error = float(np.median(errors[first:last]))
    numbers |= {
        "slope": slope,
        "expected slope": order,
        "coefficient error": coefficient_error,
        "largest step": float(steps[first]),
        "smallest step": float(steps[last]),
    }
    said = f"slope {slope:.3f}, expected {order:g}; coefficient off by {coefficient_error:.2%}"
    return Verdict(coefficient_error <= COEFFICIENT_TOLERANCE, said, numbers)


def longest_run(flags: np.ndarray) -> tuple[int, int]:
    """First and last point of the longest run of consecutive true steps; (0, 0) where there is none."""
    best, start = (0, 0), 0
    for position, flag in enumerate([*flags, False]):
        if not flag:
            if position - start > best[1] - best[0]:
                best = (start, position)
            start = position + 1
    return best


def judge_exact(measurement: dict[str, Any]) -> Verdict:
    """Equal to rounding: |difference| ≤ EXACT_UNITS · u · scale, scale the size of what was added up."""
    difference = float(np.abs(array_of(measurement, "difference")).max())
    unit, scale = float(measurement["rounding unit"]), float(measurement["scale"])
    if not (np.isfinite(scale) and scale > 0 and unit > 0):
        return Verdict(False, f"scale {scale} and rounding unit {unit} must be positive")
    units = difference / (unit * scale)
    return Verdict(units <= EXACT_UNITS, f"off by {units:.2g} rounding units, at most {EXACT_UNITS}", {"units": units})


def judge_unbiased(measurement: dict[str, Any]) -> Verdict:
    """Mean and variance over every possible probe equal their formulas to rounding.

    `means`, `variances` (B,) are those of all `probes` estimates, each equally likely; `mean`, `variance` (B,) what
    theory says; `largest` the largest estimate. Detects an error of EXACT_UNITS rounding units: any wrong factor.
    """
    probes, largest = float(measurement["probes"]), float(measurement["largest"])
    means, variances, mean, variance = (
        array_of(measurement, name) for name in ("means", "variances", "mean", "variance")
    )
    unit = float(measurement["rounding unit"])
    if not probes >= 2 or not largest > 0 or not variance.max() > 0:
        return Verdict(False, f"{probes:g} estimates, the largest {largest}, variance {variance.max()}: shows nothing")
    mean_units = float(np.abs(means - mean).max() / (unit * largest))
    variance_units = float(np.abs(variances - variance).max() / (unit * largest**2))
    numbers = {"mean units": mean_units, "variance units": variance_units, "probes": probes}
    said = f"mean off by {mean_units:.2g}, variance by {variance_units:.2g} rounding units, at most {EXACT_UNITS}"
    return Verdict(max(mean_units, variance_units) <= EXACT_UNITS, said, numbers)


def judge_eigen(measurement: dict[str, Any]) -> Verdict:
    """Power iteration: tan of the angle to the eigenspace falls as predicted, to an eigenpair in the end.

    `tangents` (steps, B) measured and `predicted` (steps, B) from the exact spectrum and the start; compared while the
    tangent is above `floor`, ±5 % a step. `eigenvalues` and `expected` (B,), `residuals` (B,) ‖Hu-λu‖/|λ| at the end,
    which must be within what the last predicted angle leaves, or at rounding.
    """
    tangents, predicted = array_of(measurement, "tangents"), array_of(measurement, "predicted")
    floor = float(measurement["floor"])
    counted = (predicted[1:] > floor) & (tangents[1:] > floor)
    if not counted.any():
        return Verdict(False, f"no step has a predicted angle above {floor:.1e}: nothing shows a rate")
    with np.errstate(divide="ignore", invalid="ignore"):
        rates, expected_rates = tangents[1:] / tangents[:-1], predicted[1:] / predicted[:-1]
    rate_error = float(np.abs(rates / expected_rates - 1)[counted].max())
    missed = int(((predicted[1:] > 4 * floor) != (tangents[1:] > 4 * floor)).sum())
    values, expected = array_of(measurement, "eigenvalues"), array_of(measurement, "expected")
    left = np.maximum(predicted[-1], floor)
    value_error = np.abs(values / expected - 1)
    residuals = array_of(measurement, "residuals")
    numbers = {
        "rate": float(np.exp(np.log(rates[counted]).mean())),
        "expected rate": float(np.exp(np.log(expected_rates[counted]).mean())),
        "rate error": rate_error,
        "final angle": float(tangents[-1].max()),
        "residual": float(residuals.max()),
        "eigenvalue error": float(value_error.max()),
    }
    said = f"rate {numbers['rate']:.4f} a step, expected {numbers['expected rate']:.4f}"
    if rate_error > RATE_TOLERANCE or missed:
        return Verdict(
            False, f"{said}; a step is off by {rate_error:.1%}, {missed} angles are on the wrong side", numbers
        )
    if (residuals > 4 * left).any() or (value_error > 4 * left).any():
        return Verdict(False, f"{said}; residual {residuals.max():.1e} where {left.max():.1e} was expected", numbers)
    return Verdict(True, f"{said}; residual {residuals.max():.1e}", numbers)


def judge_bound(measurement: dict[str, Any]) -> Verdict:
    """`values` are at least `lower`, each; the smallest is reported."""
    values, lower = array_of(measurement, "values"), float(measurement["lower"])
    smallest = float(values.min())
    return Verdict(smallest >= lower, f"smallest {smallest:.6g}, at least {lower:g}", {"smallest": smallest})


def judge_agreement(measurement: dict[str, Any]) -> Verdict:
    """Signed errors of value and θ-gradient, in rounding units × (size + condition): at most AGREEMENT_UNITS."""
    value = float(np.abs(array_of(measurement, "value")).max())
    gradient = max(
        float(np.abs(array_of(measurement, "gradient")).max()), float(array_of(measurement, "worst gradient").max())
    )
    said = (
        f"value off by {value:.2g}, θ-gradient by {gradient:.2g} rounding units × condition, at most {AGREEMENT_UNITS}"
    )
    return Verdict(max(value, gradient) <= AGREEMENT_UNITS, said, {"value units": value, "gradient units": gradient})


JUDGES: dict[str, Callable[[dict[str, Any]], Verdict]] = {
    "order": judge_order,
    "exact": judge_exact,
    "unbiased": judge_unbiased,
    "eigen": judge_eigen,
    "bound": judge_bound,
    "agreement": judge_agreement,
}
