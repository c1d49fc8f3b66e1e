"""What a call or a training step has changed, counted in bytes; the exact judge lets none pass."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from equivalence.measure import exact

NAMED = 4  # of what was changed, in words


def changed(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], *topics: str) -> dict[str, int]:
    """How many bytes differ, by name; of what is there only once, or in another shape or dtype, all of them.

    Args:
        before, after: arrays by topic/name.
        topics: that are compared; all of them by default.
    """
    names = [name for name in sorted(before.keys() | after.keys()) if not topics or name.split("/")[0] in topics]
    counts = {name: differing(before.get(name), after.get(name)) for name in names}
    return {name: count for name, count in counts.items() if count}


def differing(a: np.ndarray | None, b: np.ndarray | None) -> int:
    """The number of bytes in which two arrays differ."""
    if a is None or b is None or (a.shape, a.dtype) != (b.shape, b.dtype):
        return max(1, *(array.nbytes for array in (a, b) if array is not None))
    return int((np.frombuffer(a.tobytes(), np.uint8) != np.frombuffer(b.tobytes(), np.uint8)).sum())


def none(part: str, changes: Mapping[str, int], unit: str = "bytes") -> tuple[str, dict[str, Any]]:
    """A part that holds where nothing was changed; where something was, its name says what, and how much of it."""
    said = [f"{name} ({count} {unit})" if unit else name for name, count in changes.items()]
    more = [f"{len(said) - NAMED} more"] if len(said) > NAMED else []
    name = f"{part}, but for {', '.join(said[:NAMED] + more)}" if said else part
    return name, exact(np.array([sum(changes.values())]), 1.0, "float64")
