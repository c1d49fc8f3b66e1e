"""What workers say that methods give, compared with the oracle: here, in the run, where no measured code has been.

The oracle needs no framework. What it expects is computed once, for every framework and every planted mistake.
"""

from typing import Any

from equivalence.agreement import Raw, measurement, references
from equivalence.measure import ROUNDING_UNIT
from equivalence.reference import known
from equivalence.usages import usages


def compare(found: Raw, usage: str, case: str, dtype: str) -> dict[str, Any]:
    """The measurement of what a usage gave on a case, or the error that it raised."""
    return measurement(found, references(usages()[usage], known(case), ROUNDING_UNIT[dtype]), dtype)
