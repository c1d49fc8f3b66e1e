"""Parameters of a test of which a few stand for the others in the inner loop; tox's `slow-…` runs the others too."""

import pytest


def mostly_slow(values, quick):
    """Each value as a parameter, marked slow unless it is one of the quick ones; a tuple has one for each name."""
    values, quick = list(values), list(quick)
    if not quick or [value for value in quick if value not in values]:
        raise ValueError(f"quick: got {quick}, expected some of {values}")
    split = [value if isinstance(value, tuple) else (value,) for value in values]
    return [
        pytest.param(*parts, marks=[] if value in quick else pytest.mark.slow)
        for value, parts in zip(values, split, strict=True)
    ]
