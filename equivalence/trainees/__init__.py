"""Small networks in training, one in each ecosystem's own idiom, behind one interface: all that a step may touch.

The one-liners of `impls/<framework>/training.py` are where state lives: parameters, statistics, gradients, flags,
hooks, an optimiser, generators of random numbers. A trainee shows all of it by name and lets it be set, so that a
claim, or a planted mistake, is written once for the three. `load` imports the framework's file, and by that the
framework; importing this package does not.
"""

import abc
import importlib
import random
from collections.abc import Callable, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from equivalence.cases import Case

NAMES = ("adversarial_training", "gradient_penalty_training", "virtual_adversarial_training")
STEPS = (*NAMES, "freelb_training")
TABLE, OTHER_TABLE = "parameters/tokens", "parameters/positions"
HIDDEN, DROPPED, RATE, MOMENTUM = 16, 0.5, 0.125, 0.9  # rate: a power of two, so that it commutes with sums bit by bit
STATISTICS_RATE = 0.25  # how far running statistics go towards the batch's
State = dict[str, np.ndarray]


class Interrupted(Exception):
    """What a pass raises that is to fail."""


class Slot(NamedTuple):
    """One piece of state. What is not there yet reads as an empty array; what cannot be set has no `write`."""

    read: Callable[[], Any]
    write: Callable[[np.ndarray], Any] | None = None


class Trainee(abc.ABC):
    """A classifier of a case's tokens, trained on one batch by SGD with momentum, in float32 as shipped.

    The tanh of embedded tokens + positions -> its mean over them -> normalised -> a hidden layer -> a normalisation
    that is frozen -> dropout -> logits. Topics of its state: parameters, statistics, gradients, flags, hooks,
    optimiser, random.
    """

    framework: str

    def __init__(self, case: Case):
        self.tokens, self.labels, self.passes, self.fails_at = case.tokens, case.labels, 0, 0
        self.build(len(case.params["embedding.weight"]), case.params["embedding.weight"].shape[1])
        self.assign({TABLE: case.params["embedding.weight"]})

    @abc.abstractmethod
    def build(self, vocabulary: int, width: int) -> None:
        """The network and its optimiser, the same each time."""

    @abc.abstractmethod
    def slots(self) -> dict[str, Slot]:
        """The framework's own state."""

    @abc.abstractmethod
    def backward(self, training: bool = True) -> tuple[float, State]:
        """An ordinary pass: the mean loss and its gradients by parameter. It draws, and moves the statistics."""

    @abc.abstractmethod
    def apply(self, gradients: State) -> None:
        """The optimiser's step."""

    @abc.abstractmethod
    def plain(self) -> float:
        """The usual training step; returns the mean loss."""

    @abc.abstractmethod
    def take(self, method: Callable[..., Any], options: dict[str, Any]) -> float:
        """A training step with a one-liner that perturbs the tokens' table; returns the mean objective."""

    @abc.abstractmethod
    def array(self, value: np.ndarray) -> Any:
        """The framework's array in float32."""

    def step(self, method: str | Callable[..., Any], **options: Any) -> float:
        """`take`, the method by its name or itself. Options that are arrays are handed over as the framework's."""
        arrays = {name: self.array(value) for name, value in options.items() if isinstance(value, np.ndarray)}
        named = importlib.import_module(f"impls.{self.framework}.training")
        return self.take(getattr(named, method) if isinstance(method, str) else method, options | arrays)

    def state(self) -> State:
        """A copy of everything, by topic/name."""
        return {name: np.array(slot.read()) for name, slot in (self.slots() | GENERATORS).items()}

    def assign(self, changes: Mapping[str, np.ndarray]) -> None:
        """Set what is named."""
        slots = self.slots() | GENERATORS
        for name, value in changes.items():
            if (write := slots[name].write) is not None:
                write(np.asarray(value))

    def reached(self) -> None:
        """Every pass comes by here, behind the statistics and the dropout; the one that is to fail does so."""
        self.passes += 1
        if self.passes == self.fails_at:
            raise Interrupted(f"pass {self.passes} was made to fail")


def numpy_state() -> list[int]:
    state = np.random.get_bit_generator().state["state"]  # type: ignore[attr-defined]
    return [*state["key"], state["pos"]]


def set_numpy_state(value: np.ndarray) -> None:
    generator = np.random.get_bit_generator()  # type: ignore[attr-defined]
    generator.state = {**generator.state, "state": {"key": value[:-1].astype(np.uint32), "pos": int(value[-1])}}


def set_python_state(value: np.ndarray) -> None:
    random.setstate((3, tuple(map(int, value)), None))


def seed_process() -> None:
    """Give the generators of Python and NumPy a state that nothing else has given them."""
    random.seed()
    set_numpy_state(np.append(np.random.default_rng().integers(2**32, size=624), 0))


GENERATORS = {  # that every process has
    "random/numpy": Slot(numpy_state, set_numpy_state),
    "random/python": Slot(lambda: random.getstate()[1], set_python_state),
}


def module(bridge: ModuleType) -> ModuleType:
    """The framework's file: its Trainee, and what it has of random state."""
    return importlib.import_module(f"equivalence.trainees.{bridge.__name__.rpartition('.')[2]}")


def load(bridge: ModuleType, case: Case) -> Trainee:
    return module(bridge).Trainee(case)


def steps(methods: SimpleNamespace) -> dict[str, Callable[..., float]]:
    """The training functions as methods: (trainee, **options) -> the mean objective of one step.

    Where `methods` has one of its own under such a name, it is that one.
    """

    def stepping(name: str) -> Callable[..., float]:
        method = getattr(methods, name, name)
        return lambda trainee, **options: trainee.step(method, **options)

    return {name: stepping(name) for name in STEPS}
