"""What workers say that methods give, compared with the oracle: here, in the run, where no measured code has been.

The oracle needs no framework. What it expects is computed once, for every framework and every planted mistake.
"""

import functools
from typing import Any

from equivalence.agreement import Raw, References, measurement, references
from equivalence.cases import build
from equivalence.reference import Reference
from equivalence.usages import usages


def compare(found: Raw, usage: str, case: str, dtype: str) -> dict[str, Any]:
    """The measurement of what a usage gave on a case, or the error that it raised."""
    return measurement(found, expect(usage, case), dtype)


@functools.cache
def expect(usage: str, case: str) -> References:
    """What the oracle gives."""
    return references(usages()[usage], reference(case))


@functools.cache
def reference(case: str) -> Reference:
    return Reference(build([case])[case])
