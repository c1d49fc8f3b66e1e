"""How the arguments of a call come: what differs between two programs that call a function with the same numbers."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

from equivalence.calls.scalars import SCALARS
from equivalence.measure import FULL

Arrays = dict[str, Any]
Setting = Callable[[ModuleType, Arrays], Arrays]


def as_they_are(bridge: ModuleType, arrays: Arrays) -> Arrays:
    """The arrays themselves, in which the gradient is taken: leaves, to PyTorch."""
    return arrays


def computed(bridge: ModuleType, arrays: Arrays) -> Arrays:
    """Results of a computation, as a hidden layer's output is: what they were computed from must get its gradient."""
    return {name: array * 1.0 for name, array in arrays.items()}


def transposed(bridge: ModuleType, arrays: Arrays) -> Arrays:
    """Give arrays whose strides are in another order than their axes, where a framework has strides."""
    return {name: bridge.transposed(array) for name, array in arrays.items()}


DRAWS = ("noise", "probes", "class_probes", "masks")  # (K, B, …): the batch is their second axis
UNBATCHED = ("θ ", "u ", "noise ", "frequencies")  # how the names of arrays begin that have no axis for the batch


def unsized(bridge: ModuleType, arrays: Arrays) -> Arrays:
    """Leave the size of the batch unknown while the program is traced, as in a `tf.function` for any batch."""
    return {
        name: array if name.startswith(UNBATCHED) else bridge.unsized(array, axis=name in DRAWS)
        for name, array in arrays.items()
    }


# After all others, so that what a function keeps of its first calls, by shape alone, is of the wrong dtype.
PRECISION = "another precision"


def dtype_in(setting: str, dtype: str) -> str:
    """The dtype that arguments have in a setting, where those of other calls have this one."""
    return next(other for other in FULL if other != dtype) if setting == PRECISION else dtype


SETTINGS: dict[str, Setting] = {
    "": as_they_are,
    "computed arguments": computed,
    "transposed memory": transposed,
    "traced": as_they_are,
    SCALARS: as_they_are,  # the arrays; the numbers are changed where the method is called
    "any batch size": unsized,
    PRECISION: as_they_are,
}
