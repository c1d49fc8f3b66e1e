"""Which measurements of agreement show nothing, though they lie within their limit.

The limit is absolute: rounding units × condition. Where that is large beside the result itself, as where a value
underflows, everything passes. There the result is held against its own size: what is within half a hundredth of itself
would have been seen not to be, had it been off by a hundredth. What is neither shows nothing, and counts as neither
right nor wrong: the same function is judged on cases that show it.
"""

from typing import Any

import numpy as np

from equivalence.judge import COARSE, agreement_units

SEEN = 0.01  # an error of the result, relative to its size, that a check must see to count
SEEN_IN_HALF = 1.0  # there a hundredth is rounding, and a check counts that sees the result missing


def is_blind(measurement: dict[str, Any]) -> bool:
    """Whether an error of SEEN in value or θ-gradient could have passed for right."""
    unit = float(measurement["rounding unit"])
    seen = SEEN_IN_HALF if unit > COARSE else SEEN
    errors = [measurement["value"]]
    if "values only" not in measurement:
        errors.append([*np.ravel(measurement["gradient"]), measurement["worst gradient"]])
    for error, condition in zip(errors, measurement["condition"], strict=False):
        one = unit * condition  # a unit of error, relative to the result's size
        if agreement_units(unit) * one > seen and np.abs(error).max() * one > seen / 2:
            return True
    return False
