"""What workers say that methods give, compared with the oracle: here, in the run, where no measured code has been.

The oracle needs no framework. What it expects is computed once, for every framework and every planted mistake, and
kept for the next run of the same code.
"""

import functools
import re
from typing import Any

from bench.running.kept import kept
from equivalence.agreement import Raw, References, measurement, references
from equivalence.calls import measure as calling
from equivalence.measure import computed_in, rounding_unit
from equivalence.reference import known
from equivalence.usages import usages


def compare(found: Raw, usage: str, case: str, dtype: str) -> dict[str, Any]:
    """The measurement of what a usage gave on a case, or the error that it raised."""
    return measurement(found, expected(usage, case, dtype), dtype)


@functools.lru_cache(maxsize=1024)
def expected(usage: str, case: str, dtype: str) -> References:
    """What a usage must give on a case, and the scales of errors."""

    def compute() -> References:
        return references(usages()[usage], known(case, computed_in(dtype)), rounding_unit(dtype))

    found: References = kept(file_name(f"{case} {dtype} {usage}"), compute)
    return found


def compare_call(found: calling.Raw | calling.Missing, call: str, dtype: str) -> dict[str, Any]:
    """The measurement of one call, named with its setting, or the error that it raised."""
    return calling.judged(found, expected_of_call(call.partition(calling.APART)[0]), calling.dtype_of(call, dtype))


@functools.lru_cache(maxsize=1024)
def expected_of_call(call: str) -> calling.Expected:
    """What a call must give, however its arguments come, and the scales of errors."""
    found: calling.Expected = kept(file_name(call), lambda: calling.expectations(call))
    return found


def file_name(words: str) -> str:
    """The words without what a file's name must not have."""
    return re.sub(r"[^\w ,.=-]", "_", words)
