"""FGM on an embedding's table as it is usually written into a training loop, done right: from passes and arrays alone.

An independent way to the same step for any framework, against which the one-liners are measured. Mistakes are made of
it by changing one of its parts.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from equivalence.trainees import TABLE, State, Trainee


class ByHand:
    """One step on (1-α)·loss(table + r) + α·loss(table), r = radius·g/‖g‖ with one norm for the table."""

    tables: tuple[str, ...] = (TABLE,)

    def __init__(self, trainee: Trainee, *, radius: Any, clean_weight: float = 0.0):
        self.trainee, self.radius = trainee, np.float32(radius)
        self.share = clean_weight if radius else 0.0  # where the two losses are one, mixing them would round

    def step(self) -> float:
        self.begun = self.trainee.state()
        try:
            value, gradients = self.evaluate()
        except BaseException:
            self.undo()
            raise
        self.update(gradients)
        return value

    def evaluate(self) -> tuple[float, State]:
        clean, clean_gradients = self.attack()
        self.clean = self.trainee.state()
        self.perturb(clean_gradients)
        value, gradients = self.second_pass()
        self.restore()
        self.settle()
        mixed = {name: self.mix(gradients[name], clean_gradients[name]) for name in gradients}
        return float(self.mix(value, clean)), mixed

    def mix(self, adversarial: Any, clean: Any) -> Any:
        return np.float32(1 - self.share) * adversarial + np.float32(self.share) * clean if self.share else adversarial

    def attack(self) -> tuple[float, State]:
        """The clean pass, whose gradient the perturbation is made of."""
        return self.trainee.backward()

    def perturb(self, gradients: State) -> None:
        lengths = {table: np.linalg.norm(gradients[table]) or np.float32(1) for table in self.tables}
        self.r = {table: self.radius * gradients[table] / lengths[table] for table in self.tables}
        self.trainee.assign({table: self.begun[table] + self.r[table] for table in self.tables})

    def second_pass(self) -> tuple[float, State]:
        """The adversarial pass, which draws what the clean one drew."""
        self.trainee.assign(topic(self.begun, "random"))
        return self.trainee.backward()

    def restore(self) -> None:
        """Every table from its copy."""
        self.trainee.assign({table: self.begun[table] for table in self.tables})

    def settle(self) -> None:
        """Statistics and random state as the clean pass left them."""
        self.trainee.assign(topic(self.clean, "statistics") | topic(self.clean, "random"))

    def undo(self) -> None:
        self.trainee.assign(self.begun)

    def update(self, gradients: State) -> None:
        self.trainee.apply(gradients)


def topic(state: State, name: str) -> State:
    """What belongs to a topic, or to a part of one."""
    return {key: value for key, value in state.items() if key.startswith(name)}


def with_trace(step: Callable[..., float], name: str) -> Callable[..., float]:
    """The step and, after it, an ordinary pass, of whose effects those on one topic stay."""

    def traced(trainee: Trainee, **options: Any) -> float:
        value, after = step(trainee, **options), trainee.state()
        trainee.backward()
        trainee.assign(after | topic(trainee.state(), name))
        return value

    return traced


def training(kind: type[ByHand]) -> dict[str, Any]:
    """A kind of step in the place of the one-liner."""
    return {"adversarial_training": lambda trainee, **options: kind(trainee, **options).step()}
