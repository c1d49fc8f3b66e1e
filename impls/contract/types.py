"""Names for what the contract's functions take; the arrays are each framework's own."""

from collections.abc import Callable
from typing import Any

Array = Any
Loss = Callable[[Array], Array]
Model = Callable[[Array], Array]
Divergence = Callable[[Array, Array], Array]
