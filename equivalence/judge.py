"""Judges: measurements in, numbers and a verdict out. NumPy only; a bad measurement fails, it never raises.

A measurement is a dict of plain lists and numbers, so that a stored one can be judged again. Its "kind" names the
judge. Limits are stated here, once, with their reasons. Each verdict says how small an error its judge would have seen
in this very measurement: `detects`, relative to what is judged.
"""

import math
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
# The same in half precision, where 32 units would be half of the number. The condition is of moving every number by u,
# u² in the mean square; a rounding is 0.18u², its fraction being as likely to begin with any digit as numbers are
# (E 1/m² / 3). A layer rounds three times where one weight is moved, a derivative of order n does so 2ⁿ times: at
# n = 3 the error is √(24·0.18) = 2 times the movement's. Both are maxima over few numbers: that is worth another 4.
HALF_UNITS = 8
COARSE = 2.0**-16  # rounding units above it are those of half precision
RATE_TOLERANCE = 0.05
FALSE_ALARM = 1e-8  # of one sampler's test; some tens of them stay below 1e-6 together
POWER = 1 - 1e-6  # with which the named wrong sampler must be told from the right one


@dataclass(frozen=True)
class Verdict:
    """What a judge says: whether the claim holds, the reason in words, and the numbers it rests on.

    `detects` is the smallest error, relative to what is judged, that would have failed; NaN where nothing was judged
    because the measurement itself is unusable (missing, empty, NaN): that is not `judged`.
    """

    holds: bool
    reason: str
    numbers: dict[str, float] = field(default_factory=dict)
    detects: float = math.nan
    judged: bool = True


def judge(measurement: dict[str, Any]) -> Verdict:
    """Judge one measurement by its kind."""
    kind = measurement.get("kind")
    if not isinstance(kind, str) or kind not in JUDGES:
        said = f"measurement of unknown kind {kind!r}, expected one of {', '.join(JUDGES)}"
        return Verdict(False, said, judged=False)
    try:
        return JUDGES[kind](measurement)
    except (KeyError, TypeError, ValueError, IndexError, ArithmeticError, np.linalg.LinAlgError) as error:
        return Verdict(False, f"the measurement cannot be judged: {type(error).__name__}: {error}", judged=False)


def judge_all(parts: dict[str, dict[str, Any]]) -> Verdict:
    """Judge a claim's parts; all that are offered must hold. Numbers are prefixed with the part's name."""
    if not (offered := {name: part for name, part in parts.items() if part.get("kind") != "not covered"}):
        return Verdict(False, "nothing was measured", judged=False)
    verdicts = {name: judge(part) for name, part in offered.items()}
    numbers = {f"{name}: {key}": value for name, verdict in verdicts.items() for key, value in verdict.numbers.items()}
    failed = [f"{name}: {verdict.reason}" for name, verdict in verdicts.items() if not verdict.holds]
    passed = "; ".join(f"{name}: {verdict.reason}" for name, verdict in verdicts.items())
    detects = float(np.max([verdict.detects for verdict in verdicts.values()]))  # NumPy's keeps NaN
    judged = any(verdict.judged and not verdict.holds for verdict in verdicts.values()) or not failed
    return Verdict(not failed, "; ".join(failed) if failed else passed, numbers, detects, judged)


def array_of(measurement: dict[str, Any], name: str) -> np.ndarray:
    values = np.asarray(measurement[name], dtype=float)
    if values.size == 0:
        raise ValueError(f"{name} is empty")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has {int((~np.isfinite(values)).sum())} values that are not finite")
    return values


def number_of(measurement: dict[str, Any], name: str) -> float:
    return float(array_of(measurement, name))


def judge_order(measurement: dict[str, Any]) -> Verdict:
    """|residual| = c·εᵖ + …: slope p and coefficient c on the longest window above the noise.

    `steps` and `norms` are the ladder, largest step first; `coefficient_errors` one Richardson-extrapolated relative
    error of residual/εᵖ against c for each consecutive pair; `tail` residuals at steps so small that only rounding is
    left. Detects a slope off by 0.1 and a coefficient off by 1 %. A residual that is rounding noise everywhere is
    no order at all: such a measurement is to be made as an exact one.
    """
    order = number_of(measurement, "order")
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
    return Verdict(coefficient_error <= COEFFICIENT_TOLERANCE, said, numbers, COEFFICIENT_TOLERANCE)


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
    unit, scale = number_of(measurement, "rounding unit"), number_of(measurement, "scale")
    if not (scale > 0 and unit > 0):
        return Verdict(False, f"scale {scale} and rounding unit {unit} must be positive", judged=False)
    units = difference / (unit * scale)
    said = f"off by {units:.2g} rounding units, at most {EXACT_UNITS}"
    return Verdict(units <= EXACT_UNITS, said, {"units": units}, EXACT_UNITS * unit)


def judge_unbiased(measurement: dict[str, Any]) -> Verdict:
    """Mean and variance over every possible probe equal their formulas to rounding.

    `means`, `variances` (B,) are those of all `probes` estimates, each equally likely; `mean`, `variance` (B,) what
    theory says; `largest` the largest estimate. Detects an error of EXACT_UNITS rounding units of what is added up, in
    either: any wrong factor.
    """
    probes, largest = number_of(measurement, "probes"), number_of(measurement, "largest")
    means, variances, mean, variance = (
        array_of(measurement, name) for name in ("means", "variances", "mean", "variance")
    )
    unit = number_of(measurement, "rounding unit")
    if not probes >= 2 or not largest > 0 or not variance.max() > 0:
        said = f"{probes:g} estimates, the largest {largest}, variance {variance.max()}: shows nothing"
        return Verdict(False, said, judged=False)
    mean_units = float(np.abs(means - mean).max() / (unit * largest))
    variance_units = float(np.abs(variances - variance).max() / (unit * largest**2))
    numbers = {"mean units": mean_units, "variance units": variance_units, "probes": probes}
    said = f"mean off by {mean_units:.2g}, variance by {variance_units:.2g} rounding units, at most {EXACT_UNITS}"
    smallest_mean, smallest_variance = np.abs(mean).max(), np.abs(variance).max()
    detects = EXACT_UNITS * unit * max(largest / smallest_mean if smallest_mean else 0, largest**2 / smallest_variance)
    return Verdict(max(mean_units, variance_units) <= EXACT_UNITS, said, numbers, float(detects))


def judge_sampler(measurement: dict[str, Any]) -> Verdict:
    """Draws follow a distribution: sup |Fₙ - F| within the Dvoretzky–Kiefer–Wolfowitz band (Massart 1990).

    `statistics` (T,) the largest distance of each test's empirical distribution from the exact one, of `draws`
    independent numbers each; `wrong` (T,) how far the exact distribution of the named wrong sampler is from the right
    one at least in one of the tests. The band keeps the false alarm at FALSE_ALARM a test; so many draws are needed
    that the wrong sampler would be seen with POWER.
    """
    statistics, wrong = array_of(measurement, "statistics"), array_of(measurement, "wrong")
    draws = number_of(measurement, "draws")
    if not draws >= 1 or (statistics < 0).any():
        return Verdict(False, f"{draws:g} draws, distances {statistics.tolist()}: nothing was drawn", judged=False)
    band = math.sqrt(math.log(2 / FALSE_ALARM) / (2 * draws))
    seen = band + math.sqrt(math.log(2 / (1 - POWER)) / (2 * draws))  # so far off is seen with that power
    largest = float(statistics.max())
    numbers = {"distance": largest, "band": band, "draws": draws, "wrong sampler's distance": float(wrong.max())}
    if wrong.max() < seen:
        said = f"{draws:g} draws see a distance of {seen:.3g}, the wrong sampler's is {wrong.max():.3g}: too few draws"
        return Verdict(False, said, numbers, seen)
    said = f"distribution off by {largest:.3g}, at most {band:.3g} with {draws:g} draws"
    return Verdict(largest <= band, said, numbers, seen)


def judge_differs(measurement: dict[str, Any]) -> Verdict:
    """Two sides are unequal, by the predicted amount, to rounding: folklore that is not true, or a known trap.

    `difference` and `predicted` of one shape; `scale` the size of what was subtracted. The predicted amount must stand
    so far above rounding that a missing difference would be seen: 16 x what rounding may leave.
    """
    difference, predicted = array_of(measurement, "difference"), array_of(measurement, "predicted")
    unit, scale = number_of(measurement, "rounding unit"), number_of(measurement, "scale")
    if not (scale > 0 and unit > 0):
        return Verdict(False, f"scale {scale} and rounding unit {unit} must be positive", judged=False)
    if difference.shape != predicted.shape:
        return Verdict(False, f"shapes {difference.shape} and {predicted.shape} must be equal", judged=False)
    units = float(np.abs(difference - predicted).max() / (unit * scale))
    size = float(np.abs(predicted).max())
    numbers = {"units": units, "difference": float(np.abs(difference).max()), "predicted difference": size}
    if size <= NOISE_MARGIN * EXACT_UNITS * unit * scale:
        return Verdict(False, f"a predicted difference of {size:.1e} cannot be told from rounding", numbers)
    said = f"differs by {numbers['difference']:.3g}, predicted {size:.3g}: off by {units:.2g} rounding units"
    return Verdict(units <= EXACT_UNITS, f"{said}, at most {EXACT_UNITS}", numbers, EXACT_UNITS * unit * scale / size)


def judge_eigen(measurement: dict[str, Any]) -> Verdict:
    """Power iteration: tan of the angle to the eigenspace falls as predicted, to an eigenpair in the end.

    `tangents` (steps, B) measured and `predicted` (steps, B) from the exact spectrum and the start; compared while the
    tangent is above `floor`, ±5 % a step. `eigenvalues` and `expected` (B,), `residuals` (B,) ‖Hu-λu‖/|λ| at the end,
    which must be within what the last predicted angle leaves, or at rounding.
    """
    tangents, predicted = array_of(measurement, "tangents"), array_of(measurement, "predicted")
    floor = number_of(measurement, "floor")
    counted = (predicted[1:] > floor) & (tangents[1:] > floor)
    if not counted.any():
        return Verdict(False, f"no step has a predicted angle above {floor:.1e}: nothing shows a rate", judged=False)
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
    return Verdict(True, f"{said}; residual {residuals.max():.1e}", numbers, RATE_TOLERANCE)


def judge_bound(measurement: dict[str, Any]) -> Verdict:
    """`values` are at least `lower`, each. The smallest is reported: the tighter the bound, the more it would detect.

    `slack` is what rounding may take off, where the bound can be attained (0 by default); `tightest`, where it is
    given, how far above the bound the smallest value may lie: a bound that is never nearly reached proves little.
    """
    values, lower = array_of(measurement, "values"), number_of(measurement, "lower")
    slack = number_of({"slack": 0.0} | measurement, "slack")
    tightest = number_of(measurement, "tightest") if "tightest" in measurement else math.inf
    smallest = float(values.min())
    numbers = {"smallest": smallest, "lower": lower}
    detects = abs(smallest - lower) / (abs(lower) or 1)
    if not smallest >= lower - slack:
        return Verdict(False, f"smallest {smallest:.6g}, at least {lower:g}", numbers, detects)
    if not smallest <= tightest:
        return Verdict(False, f"smallest {smallest:.6g}, {tightest:g} at most if the bound is tight", numbers, detects)
    return Verdict(True, f"smallest {smallest:.6g}, at least {lower:g}", numbers, detects)


def judge_agreement(measurement: dict[str, Any]) -> Verdict:
    """Signed errors of value and θ-gradient, in rounding units × (size + condition): at most AGREEMENT_UNITS.

    In half precision at most HALF_UNITS.

    With "values only" the gradient was not asked for, since it is not offered.
    """
    value, gradient = float(np.abs(array_of(measurement, "value")).max()), 0.0
    if "values only" not in measurement:
        gradient = max(float(np.abs(array_of(measurement, each)).max()) for each in ("gradient", "worst gradient"))
    slope = "not offered" if "values only" in measurement else f"by {gradient:.2g}"
    unit = number_of(measurement, "rounding unit")
    most = agreement_units(unit)
    said = f"value off by {value:.2g}, θ-gradient {slope} rounding units × condition, at most {most}"
    numbers = {"value units": value, "gradient units": gradient}
    detects = most * unit * float(array_of(measurement, "condition").max())
    return Verdict(max(value, gradient) <= most, said, numbers, detects)


def agreement_units(unit: float) -> int:
    """How many rounding units × condition a result may be off."""
    return HALF_UNITS if unit > COARSE else AGREEMENT_UNITS


JUDGES: dict[str, Callable[[dict[str, Any]], Verdict]] = {
    "order": judge_order,
    "exact": judge_exact,
    "unbiased": judge_unbiased,
    "sampler": judge_sampler,
    "differs": judge_differs,
    "eigen": judge_eigen,
    "bound": judge_bound,
    "agreement": judge_agreement,
}
