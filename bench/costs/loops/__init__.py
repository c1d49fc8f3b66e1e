"""Training steps as people write them: a model, an optimiser, and one line of `training.py` or the usual snippet.

`bench.costs.cells` times functions of parameters; here are an `nn.Module`, an Optax update and a Keras model, so that
what users pay is measured with all that their ecosystem adds. Each file has `build(case, mode, name) -> Loop`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

WEIGHT, RADIUS = 0.1, 0.5
TINY = 1e-30  # a norm of 0 is not divided by


@dataclass(frozen=True)
class Loop:
    """A training step on a fixed batch with plain gradient descent; the rate is 1 at first."""

    step: Callable[[], Any]  # returns the objective's mean, perhaps not yet computed
    parameters: Callable[[], dict[str, np.ndarray]]
    rate: Callable[[float], None]  # sets the learning rate
