"""What the methods' own difference would give if its step were short: its mistakes apart from what its step leaves.

Along a direction w of the parameters, with s = ∂ℓ/∂w and d the slope of the norm, the penalty's gradient by
`how="finite_difference"` is the mean over samples of ‖d‖·(s(x + ξu) - s(x - ξu)) / 2ξ. Two errors come from ξ:

- What s bends within a step is left over, which falls as ξ².
- s is a sum of terms (∂ℓ/∂θᵢ)·wᵢ, of which each is rounded by a unit u of its size at the least, independently of the
  others. Two values of s are then off by √2·u·‖(∂ℓ/∂θᵢ)·wᵢ‖, and the quotient by u·‖d‖/(√2·ξ)·‖(∂ℓ/∂θᵢ)·wᵢ‖: it rises
  as 1/ξ, the more so where the gradient in the parameters is large beside what the penalty changes of it.

So shorter steps are tried, as for every other difference here: where two of them agree best is the limit, known to
their distance, and never better than rounding lets it be.
"""

from types import SimpleNamespace
from typing import Any

import numpy as np

from bench.check.differences import Settled, settle
from bench.check.lines import Line, dtype_of
from bench.check.radius import row_norms

SHORTER = (1.0, 1 / 4, 1 / 16, 1 / 64, 1 / 256)  # in units of the step that the method takes by itself


def limit(methods: SimpleNamespace, line: Line, unit: float) -> Settled:
    """The penalty's gradient along w by differences of ever shorter steps.

    Args:
        unit: the rounding unit of what the model computes in.
    """

    def penalty(loss: Any, x: Any, xi: Any) -> Any:
        return methods.input_gradient_penalty(loss, x, how="finite_difference", xi=xi)

    usual = unit ** (1 / 3) * np.maximum(row_norms(line.x.astype(float)), 1)
    steps = usual.max() * np.array(SHORTER)
    run = line.sloping(penalty)
    found = [np.asarray(run(line.array(np.asarray(step, line.x.dtype)))[1]) for step in steps]
    return settle(found, list(rounding(line, unit) / steps), tuple(steps))


def rounding(line: Line, unit: float) -> float:
    """What rounding leaves, times the step."""
    gradient = line.gradient(line.params_at(0.0), line.at())
    weights = 2 * row_norms(gradient.astype(float)) / np.sqrt(2)

    def weighted(loss: Any, x: Any) -> Any:
        losses = loss(x)
        return losses * line.bridge.cast(line.bridge.from_numpy(weights), dtype_of(losses))

    return unit * line.slope(weighted)[2]
