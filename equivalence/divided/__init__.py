"""Training on a batch that is divided: among replicas at the same time, or into micro-batches one after the other.

A small network in float64, in each ecosystem's own idiom, and the loop that its users would write: one for whole
batches, one that accumulates gradients over micro-batches, one that runs replicas with the framework's own engine. So
claims, and planted mistakes, are written once for the three. `load` imports the framework's file, and by that the
framework; importing this package does not.
"""

import abc
import copy
import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from equivalence.cases import Case
from impls import NotOffered

TABLE = "tokens"  # as a target; without one it is the model's input
HIDDEN, CLASSES = 6, 2
REPLICAS = 2
Rows = np.ndarray


class Divided(abc.ABC):
    """One training step on a case's tokens, which says what the optimiser would be given.

    tanh of the embedded tokens (B, T, D) -> its mean over them -> a hidden layer with tanh -> logits. Of the model's
    input as a target, that is what the tokens are embedded to.
    """

    framework: str

    def __init__(self, case: Case):
        rng = np.random.default_rng(0)
        self.table = case.params["embedding.weight"].astype(np.float64)
        width = self.table.shape[1]
        self.kernels = {
            "hidden": rng.standard_normal((width, HIDDEN)),
            "output": rng.standard_normal((HIDDEN, CLASSES)),
        }
        assert case.tokens is not None
        self.tokens, self.labels = case.tokens.astype(np.int32), case.labels.astype(np.int32)
        self.parts, self.together = [slice(0, len(self.labels))], False

    @abc.abstractmethod
    def by_micro_batches(self, method: str, options: dict[str, Any]) -> tuple[Any, Mapping[str, Any]]:
        """Value and gradients, each micro-batch weighted by its samples."""

    @abc.abstractmethod
    def by_replicas(self, method: str, options: dict[str, Any]) -> Sequence[tuple[Any, Mapping[str, Any]]]:
        """Every replica's value, the mean over all of them, and gradients."""

    def step(self, method: str, **options: Any) -> Rows:
        """The mean objective and its gradient in the parameters, (n, 1 + P): as each of n replicas has them, or one."""
        found = self.by_replicas(method, options) if self.together else [self.by_micro_batches(method, options)]
        return np.stack([self.row(*one) for one in found])

    def row(self, value: Any, gradients: Mapping[str, Any]) -> np.ndarray:
        return np.concatenate([np.ravel(value), *(np.ravel(gradients[name]) for name in sorted(gradients))])

    def among(self, replicas: int = REPLICAS) -> "Divided":
        """The same batch, dealt out to replicas."""
        return self.divided([len(self.labels) // replicas] * replicas, together=True)

    def into(self, *sizes: int) -> "Divided":
        """The same batch as micro-batches of these sizes."""
        return self.divided(sizes, together=False)

    def divided(self, sizes: Sequence[int], *, together: bool) -> "Divided":
        if sum(sizes) != len(self.labels):
            raise ValueError(f"sizes: got {list(sizes)}, expected {len(self.labels)} samples in all")
        ends = np.cumsum(sizes)
        return self.having([slice(end - size, end) for size, end in zip(sizes, ends, strict=True)], together=together)

    def having(self, parts: list[slice], *, together: bool = False) -> "Divided":
        """The same network with other samples."""
        other = copy.copy(self)
        other.parts, other.together = parts, together
        return other

    def apart(self) -> list["Divided"]:
        """Each part as the whole batch of a training by itself."""
        return [self.having([part]) for part in self.parts]

    def undivided(self) -> "Divided":
        """All samples as one batch."""
        return self.having([slice(self.parts[0].start, self.parts[-1].stop)])

    @property
    def samples(self) -> int:
        return sum(part.stop - part.start for part in self.parts)

    def share(self, part: slice) -> float:
        """How much of the batch a part is."""
        return (part.stop - part.start) / self.samples

    def batch(self, part: slice, target: str | None) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and labels: tokens (B, T), or what they are embedded to (B, T, D)."""
        tokens = self.tokens[part]
        return (tokens if target == TABLE else self.table[tokens]), self.labels[part]

    def parameters(self, target: str | None) -> dict[str, np.ndarray]:
        return self.kernels | ({TABLE: self.table} if target == TABLE else {})


def module(bridge: ModuleType) -> ModuleType | None:
    """The framework's file; None for a framework that has none yet."""
    name = f"equivalence.divided.{bridge.__name__.rpartition('.')[2]}"
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def prepare(bridge: ModuleType) -> None:
    """Let the process have as many devices as there are replicas. Before any array is made."""
    if (there := module(bridge)) is not None:
        there.prepare(REPLICAS)


def load(bridge: ModuleType, case: Case) -> Divided:
    if (there := module(bridge)) is None:
        raise NotOffered(f"equivalence.divided has nothing for {bridge.__name__} yet")
    return there.Divided(case)
