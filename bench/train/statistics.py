"""What seeds say of a regime: means with intervals, paired differences, verdicts that allow for many comparisons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # which imports scipy.stats where it is first used: that takes a second

CONFIDENCE = 0.95
MARGIN = 0.01  # of accuracy: regimes nearer than that are equal for whoever chooses one


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, its interval by Student's t, and the two-sided p-value of being 0."""

    mean: float
    low: float
    high: float
    p: float
    seeds: int


def estimate(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Estimate a mean from values that are independent, one a seed; NaN where there are fewer than two.

    Values that are all the same have an interval without width, and p is 1 if they are 0 and 0 otherwise.
    """
    found = np.asarray(values, float)
    if len(found) < 2 or not np.isfinite(found).all():
        mean = float(found.mean()) if len(found) else float("nan")
        return Estimate(mean, float("nan"), float("nan"), float("nan"), len(found))
    mean, error = float(found.mean()), float(found.std(ddof=1) / len(found) ** 0.5)
    half = float(scipy.stats.t.ppf((1 + confidence) / 2, len(found) - 1)) * error
    p = float(2 * scipy.stats.t.sf(abs(mean) / error, len(found) - 1)) if error else float(mean == 0)
    return Estimate(mean, mean - half, mean + half, p, len(found))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p-values that allow for their number (Holm 1979); NaN stays NaN and counts for nothing."""
    known = sorted((p, name) for name, p in p_values.items() if p == p)
    adjusted, least = dict(p_values), 0.0
    for rank, (p, name) in enumerate(known):
        least = max(least, min(1.0, p * (len(known) - rank)))
        adjusted[name] = least
    return adjusted


def equivalence(differences: Sequence[float], margin: float = MARGIN) -> float:
    """The p-value of two one-sided tests that the mean difference lies within ± margin (Schuirmann 1987)."""
    found = np.asarray(differences, float)
    if len(found) < 2 or not np.isfinite(found).all():
        return float("nan")
    distance, error = margin - abs(float(found.mean())), float(found.std(ddof=1) / len(found) ** 0.5)
    return float(scipy.stats.t.sf(distance / error, len(found) - 1)) if error else float(distance <= 0)
