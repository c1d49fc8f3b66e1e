"""A call that must leave the state of its process alone: random numbers, dtypes, devices, flags, warnings and the like.

It is looked at in every call, since a function may change something in one call of many: that takes less than 0.1 ms.
"""

import contextlib
import sys
from collections.abc import Iterator
from types import ModuleType

from equivalence.protocol import Complaint
from equivalence.state import Kept


@contextlib.contextmanager
def left_alone(name: str, bridge: ModuleType) -> Iterator[None]:
    """Raise a Complaint that names what the function changed in the block; whatever it was is put back."""
    with Kept(bridge) as kept:
        yield
    if kept.changes:
        raise Complaint(
            f"{name} changed {kept}: expected a function that leaves what its whole process shares as it was. Random"
            " numbers come as arguments; a sampler draws from a generator of its own, which its seed makes"
        )


@contextlib.contextmanager
def put_back(bridge: ModuleType) -> Iterator[Kept]:
    """A file is imported in the block: seeds, a default dtype, filters of warnings are common there, and put back.

    Then the context says what it was. Where the file looks for modules is looked at last of all, not put back: a
    function may import its neighbours when it is called.
    """
    with Kept(bridge) as kept:
        yield kept
        path = list(sys.path)
    sys.path.extend(folder for folder in path if folder not in sys.path)
    kept.changes.pop("sys.path", None)
