"""What an entry of the atlas is: an operation as a framework's users write it, and an input at which it is smooth."""

import zlib
from dataclasses import dataclass, field

import numpy as np

ALONG = "along"  # the direction in which a kink is passed; all ones where none is given


@dataclass(frozen=True)
class Entry:
    """One operation or layer of a framework.

    Args:
        name: what its users call it, with what matters of its options.
        family: the file that it stands in.
        call: an expression in the names of the inputs, and of what `transforms` imports. Its value is one array.
        inputs: for each array that derivatives are taken in, an expression in `np` and `rng`, a seeded generator. They
            are all perturbed at once, parameters of a layer too.
        setup: statements that come before, to make a layer for instance.
        hand: the same as `call` from elementary operations of NumPy, where that is short. `hand` names the functions
            of `equivalence.atlas.by_hand`.
        also: other names of what computes the same: a layer that calls the function.
        kinks: by name, inputs at which it has no derivative, and the direction `along` which the kink is passed.
        dtype: of all numbers; float32 where the framework has no other kernel.
        documented: where the framework says that it cannot be differentiated so, in its own words.
        needs: a package beside the framework that must be installed.
    """

    name: str
    family: str
    call: str
    inputs: dict[str, str]
    setup: str = ""
    hand: str = ""
    also: tuple[str, ...] = ()
    kinks: dict[str, dict[str, str]] = field(default_factory=dict)
    dtype: str = "float64"
    documented: str = ""
    needs: str = ""

    @property
    def seed(self) -> int:
        """Of the entry's own input."""
        return zlib.crc32(self.name.encode()) % 1000

    def arrays(self, expressions: dict[str, str] | None = None) -> list[np.ndarray]:
        """The input, or another one that is stated likewise."""
        rng = np.random.default_rng(self.seed)
        stated = self.inputs if expressions is None else expressions
        return [np.asarray(eval(text, {"np": np, "rng": rng}), dtype=np.float64) for text in stated.values()]

    @property
    def where(self) -> str:
        """The input in words."""
        each = ", ".join(f"{name} = {text}" for name, text in self.inputs.items())
        return f"rng = np.random.default_rng({self.seed}); {each}"


class Entries(list[Entry]):
    """The entries of a family."""

    def __init__(self, family: str):
        super().__init__()
        self.family = family.rpartition(".")[2]

    def add(
        self,
        name: str,
        call: str,
        *,
        setup: str = "",
        hand: str = "",
        also: tuple[str, ...] = (),
        kinks: dict[str, dict[str, str]] | None = None,
        dtype: str = "float64",
        documented: str = "",
        needs: str = "",
        **inputs: str,
    ) -> None:
        """Add one; the input is named by keyword, as the call names it."""
        self.append(Entry(name, self.family, call, inputs, setup, hand, also, kinks or {}, dtype, documented, needs))


def normal(*shape: int, scale: float = 1.0) -> str:
    """Numbers of either sign around 0, at no special place."""
    drawn = f"rng.normal(size={shape})"
    return drawn if scale == 1 else f"{scale:g} * {drawn}"


def apart(*shape: int, low: float = -2.0, high: float = 2.0) -> str:
    """Numbers in a random order, evenly apart: away from ties, and from 0 where the interval is symmetric.

    There is an even number of them.
    """
    return f"rng.permutation(np.linspace({low:g}, {high:g}, {int(np.prod(shape))})).reshape({shape})"


def between(low: float, high: float, *shape: int) -> str:
    """Numbers strictly within an interval."""
    return f"rng.uniform({low:g}, {high:g}, size={shape})"
