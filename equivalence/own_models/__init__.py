"""A user's own model: read from a file, and seen as a function of its parameters and of one place in it.

Each framework's file in this folder has the same `load`, and what it returns answers the same questions, so that
`bench.check` asks them once for all frameworks. Nothing here trusts the file: it is loaded in a worker process, and
whatever is wrong with it is a Complaint in words for the person who wrote it.
"""

import ast
import importlib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol

import numpy as np

from equivalence.foreign.loading import imported
from equivalence.measure import ROUNDING_UNIT
from equivalence.protocol import Complaint, describe_error
from impls.frameworks import DESCRIBED, FRAMEWORKS

Array = Any
IMPORTING = 60.0  # seconds of processor time that importing a file may take: models are built in it
NEEDED = ("model", "loss", "batch")
ASIDE = ("model", "batch")  # what there must be; a loss may be the model's own


@dataclass(frozen=True)
class Place:
    """Where a model can be perturbed.

    Args:
        name: as the framework's one-liners know it; empty for the only input.
        kind: "input", "table" or "output".
        point: what is there in the batch: (R, *S), R rows with a loss each. Of a table, and where the loss is one
            number for the batch, there is one row.
        note: what kind of thing it is, in words: "Embedding, 100 × 16".
        key: how the framework's file finds it again.
    """

    name: str
    kind: str
    point: Array
    note: str = ""
    key: Any = None

    @property
    def title(self) -> str:
        """The place in words."""
        if self.kind == "input":
            return f"the input {self.name}" if self.name else "the input"
        return f"the {self.kind} of {self.name}"

    def as_argument(self, target: str = "") -> str:
        """What a one-liner is told of the place, after its first arguments: nothing, where it is the only input."""
        if self.kind == "input" and not self.name:
            return ""
        where = "" if self.kind == "table" else f', where="{self.kind}"'
        return ", " + (target or f'"{self.name}"') + where


@dataclass(frozen=True)
class Problem:
    """Losses as a function of parameters and a point: what derivatives are taken of.

    Args:
        losses: (params, x) -> (R,).
        params: arrays by name.
        x: (R, *S).
        logits: (params, x) -> (R, C), or None where there are none.
    """

    losses: Callable[[Mapping[str, Array], Array], Array]
    params: dict[str, Array]
    x: Array
    logits: Callable[[Mapping[str, Array], Array], Array] | None = None


@dataclass
class Part:
    """A part of a model that was called in one pass, and the parts that it called.

    Args:
        name: of the part, as its user knows it.
        kind: its class, or the operation's name.
        isolate: () -> the part alone as a Problem of its own floating-point inputs and parameters; None: it has none.
        clues: () -> what in it may be behind a wrong derivative, in words.
        mixes: (B) -> whether a sample's outputs depend on the inputs of others, of B samples.
        changes: () -> whether a second call with the same inputs, buffers and random state gives other outputs.
        children: the parts that it called.
    """

    name: str
    kind: str
    isolate: Callable[[], Problem | None]
    clues: Callable[[], list[str]] = list
    mixes: Callable[[int], bool] = lambda size: False
    changes: Callable[[], bool] = lambda: False
    children: list["Part"] = field(default_factory=list)


class OwnModel(Protocol):
    """What is asked of a user's model, whatever its framework."""

    framework: str
    idiom: str  # "a torch.nn.Module", "a Flax Linen module"
    size: int  # samples in the batch
    one_number: bool  # whether the loss is one number for the batch
    training: bool  # whether it was left in training mode
    dtype: str  # of its losses, or a coarser one that it computes in on the way
    remarks: list[str]  # what is to be known of how it was read

    def places(self) -> list[Place]:
        """Where it can be perturbed; first what the methods would perturb by default."""

    def problem(self, place: Place, *, by_sample: bool = False) -> Problem:
        """Its losses as a function of parameters and what is at a place. Statistics and random numbers are reset.

        by_sample: of a loss that is one number, the same number for each sample, beside logits a sample.
        """

    def parts(self) -> Part:
        """The parts that a pass goes through, in the order of their calls."""

    def losses_of(self, rows: list[int]) -> Array:
        """Losses (R,) of a batch that is made of these samples, as many as there are."""

    def random(self) -> bool:
        """Whether it draws random numbers in a pass."""

    def passes(self) -> tuple[list[float], list[float], dict[str, float]]:
        """Losses of the batch in two passes one after the other, and by how much each kept tensor has moved."""

    def steps(self, place: Place, radius: float, weight: float, mode: str) -> dict[str, Callable[[], Any]]:
        """Training steps by name, plain ones first: "plain", "fgm", "gradient penalty, double backward"."""

    def lines(self, place: Place, radius: str, weight: str) -> dict[str, str]:
        """What to paste, by method."""


def load(framework: str, path: str, *, double: bool) -> OwnModel:
    """The model that a file defines or is, in float64 where that is asked for and possible.

    A file may hold numbers of one precision beside others, and then it cannot be made to compute in float64: it is
    looked at as it is. Where that does not run either, what is wrong is said of the first time.

    Raises Complaint.
    """
    try:
        return read(framework, path, double=double)
    except Complaint as complaint:
        if not double:
            raise
        try:
            own = read(framework, path, double=False)
        except Complaint:
            raise complaint from None
        own.remarks.append(f"no float64 copy of it runs ({one_line(complaint):.200}): it is looked at as it is")
        return own


def read(framework: str, path: str, *, double: bool) -> OwnModel:
    """The model that a file defines or is, once it has been imported in the precision that is asked for."""
    own = importlib.import_module(f"{__name__}.{framework}")
    given = Path(path)
    with own.surroundings(double=double):
        if given.suffix == ".py":
            return own.load(names_of(imported(path, IMPORTING)), path, double=double)
        return own.load_saved(given, double=double)


def coarsest(dtypes: Iterable[str]) -> str:
    """Of the dtypes that a model computes in, the one that leaves the fewest digits; narrower ones are for storage."""
    return max((dtype for dtype in dtypes if dtype in ROUNDING_UNIT), key=ROUNDING_UNIT.__getitem__, default="float64")


def one_line(error: Exception) -> str:
    """What an error says, in one line and without colours."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", describe_error(error)).split())


def names_of(module: ModuleType) -> SimpleNamespace:
    """What the file defines, if it is what is needed."""
    missing = [name for name in ASIDE if not hasattr(module, name)]
    if missing:
        there = [name for name in vars(module) if not name.startswith("_")]
        raise Complaint(
            f"defines no {' and no '.join(missing)}: expected `model`, `loss` and `batch`; it has"
            f" {', '.join(there[:8]) or 'nothing'}. `python -m bench check --template` prints a file to start from"
        )
    return SimpleNamespace(**vars(module))


def framework_of(path: Path) -> str:
    """Which framework a file or folder is in, by what it imports or is called; empty where that is not clear."""
    if path.suffix == ".keras":
        return "tensorflow"
    if path.is_dir() or path.suffix in (".pt", ".pt2", ".pth", ".safetensors", ".bin", ".ckpt"):
        return "torch"
    imports = set(imported_names(path))
    found = [name for name in FRAMEWORKS if imports & set(DESCRIBED[name].imports)]
    found = found or [name for name in FRAMEWORKS if imports & GUESSED[name]]
    return found[0] if len(found) == 1 else ""


def speak_of_classes(labels: np.ndarray, outputs: tuple[int, ...]) -> bool:
    """Whether labels say which class a sample is of, as numbers or as shares: what a regression is held against is
    something else, and so are several yes and no of one sample, of which each has a probability of its own."""
    values = labels.astype(float)
    if labels.dtype.kind == "f" and not (((values >= 0) & (values <= 1)).all() and (values != values.ravel()[0]).any()):
        return False
    return labels.shape != outputs or len(outputs) < 2 or outputs[1] == 1 or bool(np.allclose(values.sum(1), 1))


def are_probabilities(outputs: np.ndarray) -> bool:
    """Whether outputs (R, C) are shares of 1: a softmax has been taken already, and they are no logits."""
    several = outputs.ndim == 2 and outputs.shape[1] > 1
    return several and bool((outputs >= 0).all()) and bool(np.allclose(outputs.sum(1), 1, atol=1e-2))


PROBABILITIES = (
    "its outputs are probabilities, of which the logarithms are taken for logits; virtual adversarial training has to"
    " be told the same, or given logits"
)
GUESSED = {  # packages that come with one framework
    "torch": {"transformers", "lightning", "timm"},
    "jax": {"optax", "flax", "equinox"},
    "tensorflow": {"keras_hub"},
}


def imported_names(path: Path) -> Iterator[str]:
    """The packages that a Python file imports."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def unique(names: Iterator[str]) -> Iterator[str]:
    """Names of which those that came before get a number."""
    seen: dict[str, Iterator[int]] = {}
    for name in names:
        count = next(seen.setdefault(name, itertools.count(1)))
        yield name if count == 1 else f"{name}, call {count}"
