"""Critics whose gradient penalty is known in closed form (C16): ½x·Ax + b·x, whose gradient is ½(A + Aᵀ)x + b."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from equivalence.cases import Case, float32_exact
from equivalence.problem import Problem, flat

Array = np.ndarray


class Setting(NamedTuple):
    """A critic, and what the penalty is called with."""

    a: Array  # (n, n)
    b: Array  # (n,)
    real: Array  # (B, *S)
    fake: Array
    mix: Array  # (B,)
    target: float = 1.0

    def between(self) -> Array:
        """The point of each sample's segment, (B, n)."""
        mix = self.mix[:, None]
        return mix * self.real.reshape(len(mix), -1) + (1 - mix) * self.fake.reshape(len(mix), -1)

    def slope(self) -> Array:
        """The critic's gradient there, (B, n)."""
        return self.between() @ (self.a + self.a.T) / 2 + self.b

    def penalty(self) -> Array:
        return (np.linalg.norm(self.slope(), axis=1) - self.target) ** 2

    def gradient(self) -> Array:
        """The gradient of the mean penalty in A and b, (n² + n,); a sample whose slope is 0 adds 0."""
        slope, batch = self.slope(), len(self.mix)
        length = np.linalg.norm(slope, axis=1, keepdims=True)
        bar = 2 * (length - self.target) * slope / np.where(length == 0, 1, length) / batch
        outer = bar.T @ self.between()
        return np.append((outer + outer.T) / 2, bar.sum(0))

    def size(self) -> float:
        """The size of the terms that are subtracted, which scales rounding errors."""
        return float((np.linalg.norm(self.slope(), axis=1).max() + self.target) ** 2)


def measured(problem: Problem) -> Callable[[Setting], tuple[Array, Array]]:
    """A setting's penalties (B,), and the gradient of their mean in A and b, (n² + n,), by the framework."""
    case = problem.case
    n = int(np.prod(case.extra["vector"].shape[1:]))
    flatten = {"weight": problem.array(np.eye(n)), "bias": problem.array(np.zeros(n))}

    def penalise(point: Any, a: Any, b: Any, real: Any, fake: Any, mix: Any, target: Any) -> Any:
        def of_critic(params: Any) -> Any:
            def critic(x: Any) -> Any:
                return problem.models.quadratic(params, problem.models.linear(flatten, x))[:, 0]

            return problem.methods.wgan_gradient_penalty(critic, real, fake, mix, target=target)

        return problem.bridge.value_and_grad(of_critic)({"A": a, "b": b})

    run = problem.compile(penalise)

    def evaluate(setting: Setting) -> tuple[Array, Array]:
        value, slopes = run(*setting)
        return value, flat(slopes)

    return evaluate


def settings(case: Case) -> dict[str, Setting]:
    """Map each name to a setting: the critics' slopes are below, at and above the target, and 0."""
    real, fake, mix = (case.extra[name] for name in ("vector", "start", "mix"))
    n = real[0].size
    rng = np.random.default_rng(0)
    a, b = float32_exact(rng.standard_normal((n, n)) / n), float32_exact(rng.standard_normal(n))
    unit, none = b / np.linalg.norm(b), np.zeros((n, n))
    still = np.arange(case.batch).reshape(-1, *[1] * (real.ndim - 1)) > 0  # the first sample has no slope
    return {
        "linear critic, ‖w‖ = ½": Setting(none, unit / 2, real, fake, mix),
        "linear critic, ‖w‖ = 1": Setting(none, unit, real, fake, mix),
        "quadratic critic": Setting(a, b, real, fake, mix),
        "target 0, at the real samples": Setting(a, b, real, fake, np.ones_like(mix), 0.0),
        "one slope is 0": Setting(a, 0 * b, real * still, fake * still, mix),
        "every slope is 0": Setting(none, 0 * b, real, fake, mix),
    }


def along_a_line(case: Case) -> tuple[Setting, Setting]:
    """A critic of slope 1 on a line, and of another beside it: on the line, and where a weight a pixel leads."""
    rng = np.random.default_rng(1)
    shape = case.extra["vector"].shape
    n = int(np.prod(shape[1:]))
    start, along, unit = rng.standard_normal((3, n))
    across = np.eye(n) - np.outer(along, along) / (along @ along)
    a, b = 2 * across, unit / np.linalg.norm(unit) - 2 * across @ start
    real, fake = start + rng.uniform(-1, 1, (2, case.batch, 1)) * along  # (B, n)
    weights = rng.uniform(size=(case.batch, n))
    pixels = (weights * real + (1 - weights) * fake).reshape(shape)
    mix = case.extra["mix"]
    return Setting(a, b, real.reshape(shape), fake.reshape(shape), mix), Setting(a, b, pixels, pixels, mix)
