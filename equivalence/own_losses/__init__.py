"""Which of each framework's own losses can be differentiated twice, and three times.

A gradient penalty needs the second derivative, a Laplacian that is trained on the third. A framework may refuse one, or
quietly return a wrong one (usually 0). Each derivative is taken by reverse mode over reverse mode, along a fixed
vector, and held against differences of the derivative before it, by the same framework in float64.
"""

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

Loss = Callable[[Any], Any]  # (4, 3), or (6, 4, 3) with time first -> losses

RIGHT = 1e-6  # relative: differences of fourth order leave 1e-9, a missing term leaves all of it
WRONG = "wrong"  # how an answer begins where a derivative is another one
STEP, KNOTS = 1e-3, (-2, -1, 1, 2)
LABELS = np.array([0, 2, 1, 1])
SOFT = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.2, 0.5, 0.3], [0.3, 0.4, 0.3]])


def measure(bridge: ModuleType, framework: str) -> dict[str, dict[str, str]]:
    """Map each loss to words: "right", "wrong, off by 100%", "raises LookupError"; "no" after what is not right.

    Raises what a loss or its first derivative raises: then the call is wrong, not the loss.
    """
    found = {}
    for name, loss in losses(framework)(bridge.from_numpy).items():
        shape = (6, 4, 3) if "ctc" in name else (4, 3)
        rng = np.random.default_rng(0)
        x, u, v = (rng.standard_normal(shape) for _ in range(3))
        found[name] = derivatives(bridge, loss, x, u, v)
    return found


def losses(framework: str) -> Callable[[Callable[[np.ndarray], Any]], dict[str, Loss]]:
    """The `losses` of the framework's file in this folder; of a framework without one, none."""
    place = f"{__name__}.{framework}"
    return importlib.import_module(place).losses if importlib.util.find_spec(place) else lambda array: {}


def derivatives(bridge: ModuleType, loss: Loss, x: np.ndarray, u: np.ndarray, v: np.ndarray) -> dict[str, str]:
    """The second derivative along u and the third along u and v, each a gradient of the one before."""

    def first(x: Any) -> Any:
        return bridge.gradient(loss, x)

    def second(x: Any) -> Any:
        return bridge.gradient(lambda x: first(x) * bridge.from_numpy(u), x)

    def third(x: Any) -> Any:
        return bridge.gradient(lambda x: second(x) * bridge.from_numpy(v), x)

    twice = compared(bridge, second, first, x, u)
    return {"twice": twice, "three times": compared(bridge, third, second, x, v) if twice == "right" else "no"}


def compared(bridge: ModuleType, derivative: Loss, lower: Loss, x: np.ndarray, along: np.ndarray) -> str:
    """The derivative against fourth-order differences of the lower one along the vector."""

    def at(function: Loss, points: list[np.ndarray]) -> list[np.ndarray]:
        run = bridge.compiled(function, bridge.SWEEP_MODE)
        return [bridge.to_numpy(run(bridge.from_numpy(point))) for point in points]

    steps = dict(zip(KNOTS, at(lower, [x + k * STEP * along for k in KNOTS]), strict=True))
    try:
        with warnings.catch_warnings(action="ignore"):  # a deprecation inside a framework is not its derivative
            found = at(derivative, [x])[0]
    except Exception as error:  # whatever it raises is the answer
        return f"raises {type(error).__name__}"
    expected = (8 * (steps[1] - steps[-1]) - (steps[2] - steps[-2])) / (12 * STEP)
    size = float(np.abs(expected).max())
    off = float(np.abs(found - expected).max()) / (size if size > RIGHT else 1)
    return "right" if off <= RIGHT else f"{WRONG}, off by {off:.0%}"
