"""Names for what the contract's functions take and return.

An annotation says what `impls.checks` holds an argument against. What a call returns is read off the annotations, too
(`equivalence.foreign.returns`): `A | tuple[A, B]` is one array, or two where an option `with_…` asks for both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

Array = Any  # each framework's own


@dataclass(frozen=True)
class Shape:
    """Sizes by letter: a letter stands for one size throughout a call, `*S` for any number of axes.

    A sample has at least one axis in all that is verified: single numbers are (B, 1).
    """

    sizes: str
    kind: str = "floating"  # "any" where integers will do
    finite: bool = False  # the values are looked at where there are any: an array that is traced has none
    lowest: float = float("-inf")  # likewise
    softmax: bool = False  # its last axis goes into a softmax, which over one class is constant


@dataclass(frozen=True)
class Interval:
    """A finite number, or an array of shape () that is traced."""

    lowest: float = float("-inf")
    highest: float = float("inf")
    open: str = ""  # ends that do not belong to it: "low", "high"
    traced: bool = True  # not where its being 0 decides what is computed
    scheduled: bool = False  # a function of the step's number will do


@dataclass(frozen=True)
class Count:
    """A whole number; with `traced`, an integer array of shape () will do."""

    lowest: int
    highest: int | None = None
    traced: bool = False


@dataclass(frozen=True)
class Returns:
    """A closure, and the shape of what it returns."""

    sizes: str
    softmax: bool | str = False  # as in Shape; a name: where that option is "kl_divergence"


@dataclass(frozen=True)
class Tree:
    """{name: array}; with `copies`, {name: (K, *shape)} for the arrays of `params`."""

    copies: bool = False


Batch = Annotated[Array, Shape("B *S", finite=True)]  # what is perturbed
Same = Annotated[Array, Shape("B *S")]
Draws = Annotated[Array, Shape("K B *S")]
Sequences = Annotated[Array, Shape("B T D", finite=True)]
Padding = Annotated[Array, Shape("B T")]
Mix = Annotated[Array, Shape("B", lowest=0)]
Outputs = Annotated[Array, Shape("B C")]
Logits = Annotated[Array, Shape("B C", softmax=True)]
Weights = Annotated[Array, Shape("B C", lowest=0)]
Labels = Annotated[Array, "labels"]
ClassProbes = Annotated[Array, Shape("K B C")]
Table = Annotated[Array, Shape("V D", finite=True)]
Frequencies = Annotated[Array, Shape("V", finite=True, lowest=0)]
Matrix = Annotated[Array, Shape("O *I", finite=True)]
Vector = Annotated[Array, Shape("O")]
Numbers = Annotated[Array, Shape("*S")]
Number = Annotated[Array, Shape("")]
PerSample = Annotated[Array, Shape("B")]
Drawn = Annotated[Array, Shape("*shape")]  # the argument of that name
Matrices = Annotated[Sequence[Array], Matrix]
Vectors = Annotated[Sequence[Array], Vector]
Params = Annotated[dict[str, Array], Tree()]
ParamDraws = Annotated[dict[str, Array], Tree(copies=True)]

Loss = Annotated[Callable[[Array], Array], Returns("B")]
Model = Annotated[Callable[[Array], Array], Returns("B C")]
Classifier = Annotated[Callable[[Array], Array], Returns("B C", softmax=True)]
ModelOrClassifier = Annotated[Callable[[Array], Array], Returns("B C", softmax="divergence")]
Divergence = Annotated[Callable[[Array, Array], Array], Returns("B")]

Scale = Annotated[float, Interval(0)]
ScaleOrSchedule = Annotated[float | Callable[[Any], float], Interval(0, scheduled=True)]
OptionalStep = Annotated[float, Interval(0, open="low")] | None
Positive = Annotated[float, Interval(0, open="low")]
Share = Annotated[float, Interval(0, 1)]
MixingWeight = Annotated[float, Interval(0, 1, traced=False)]
OptionalWeight = Annotated[float, Interval(0, traced=False)]
Rate = Annotated[float, Interval(0, 1, open="high")]
Real = Annotated[float, Interval()]
SEED = Count(0, 2**32 - 1, traced=True)  # as many as every framework tells apart
Seed = Annotated[int | Array, SEED]
Steps = Annotated[int, Count(1)]
StepsOrNone = Annotated[int, Count(0)]
Bounds = Annotated[tuple[float, float] | None, "bounds"]
