"""Problems of every shape that the contract allows, small, for functions that are called one by one."""

from dataclasses import replace

import numpy as np

from equivalence.cases import Case, dense_params, float32_exact, register, text_params, with_arguments


def network(
    name: str, batch: int, sample: tuple[int, ...], hidden: int, classes: int, seed: int, draws: int = 2
) -> Case:
    """A tanh network on inputs of a shape."""
    rng = np.random.default_rng(seed)
    inputs = int(np.prod(sample))
    case = Case(
        name=name,
        title=f"{batch} inputs of shape {sample}, tanh network {inputs}-{hidden}-{classes}",
        model="mlp",
        loss="cross_entropy",
        params=dense_params(rng, [inputs, hidden, classes], gain=1.5),
        labels=rng.integers(0, classes, batch).astype(np.int32),
        x=float32_exact(rng.standard_normal((batch, *sample))),
    )
    case = with_arguments(case, sample, classes, seed + 1, draws)
    return with_limits(case) if batch > 1 else case


def with_limits(case: Case) -> Case:
    """The case with arguments that are at the ends of what they may be, in one sample or two.

    A soft label is certain, mixing weights are 0 and 1; a sequence is padding alone, and one has none.
    """
    ends = {name: np.array(array) for name, array in case.extra.items()}
    ends["soft_labels"][0] = np.eye(len(ends["soft_labels"][0]))[0]
    ends["mix"][:2] = 0, 1
    if "padding" in ends:
        ends["padding"][1:3] = np.array([[0], [1]])
    return replace(case, extra=ends)


@register
def call_vectors() -> Case:
    """More numbers in a sample than samples."""
    return network("call-vectors", 3, (5,), 6, 4, seed=101)


@register
def call_many() -> Case:
    """More samples than numbers in one."""
    return network("call-many", 7, (2,), 5, 3, seed=103)


@register
def call_matrices() -> Case:
    """Sequences of vectors, as an embedding gives them; the last two are padding."""
    return network("call-matrices", 3, (4, 2), 5, 3, seed=105)


@register
def call_images() -> Case:
    """Images, channels first or last: four axes, of which no two have the same size."""
    return network("call-images", 2, (3, 4, 5), 5, 4, seed=107)


@register
def call_volumes() -> Case:
    """Five axes, one of them of size 1."""
    return network("call-volumes", 2, (2, 1, 3, 2), 5, 3, seed=109)


@register
def call_numbers() -> Case:
    """Samples of a single number."""
    return network("call-numbers", 4, (1,), 6, 3, seed=111)


@register
def call_one() -> Case:
    """A batch of one."""
    return network("call-one", 1, (3,), 6, 2, seed=113)


@register
def call_wide() -> Case:
    """More numbers in a sample, and more classes, than anyone works through at once who takes them in pieces."""
    return network("call-wide", 2, (70,), 6, 20, seed=121)


@register
def call_draws() -> Case:
    """More draws of noise and more probes than anyone works through at once, and a number of them that no other has."""
    return network("call-draws", 3, (2, 2), 5, 4, seed=123, draws=11)


@register
def call_words() -> Case:
    """Tokens that occur more than once, within a sample and in several, one that never does, and padding."""
    rng = np.random.default_rng(115)
    tokens = np.array([[1, 2, 1, 3, 5], [3, 3, 1, 0, 0]], np.int32)
    case = Case(
        name="call-words",
        title="2 texts of 5 tokens, embedding of width 3, convolutions",
        model="text",
        loss="cross_entropy",
        params=text_params(rng, 6, 3, 2),
        labels=np.array([1, 0], np.int32),
        tokens=tokens,
        mask=(tokens != 0).astype(np.float64),
    )
    case = with_arguments(case, (5, 3), len(case.params["output.weight"]), seed=116)
    counted = np.concatenate([[0], case.extra["frequencies"][1:]])  # padding is no token that occurs
    return replace(case, extra=case.extra | {"frequencies": counted})


def integers(name: str, matrix: list[list[int]], slope: list[int], points: list[list[float]]) -> Case:
    """½xᵀAx + bᵀx in integers, or fractions of few bits: gradients and ties are exact in every order of operations."""
    rng = np.random.default_rng(117)
    x = np.array(points, float)
    case = Case(
        name=name,
        title=f"{len(points)} points, a quadratic of small integers",
        model="quadratic",
        loss="value",
        params={"A": np.array(matrix, float), "b": np.array(slope, float)},
        labels=np.zeros(len(points), np.int32),
        x=x,
    )
    return with_arguments(case, x.shape[1:], 1, seed=int(rng.integers(2**31)))


TIED = np.array([[0, 0, 0, 0], [2, -2, 2, -2], [5, 1, -5, 0], [3, 0, 3, -3], [4, 2, 1, 5]])
NEARLY = 1 - np.array([0.0, 2.0**-18, 2.0**-12, 2.0**-11])  # within what isclose takes for equal, and 0.1 %


@register
def call_ties() -> Case:
    """Gradients x + b: the first is 0, then come ties between all, two and three components, and none."""
    return integers("call-ties", np.eye(4, dtype=int).tolist(), [2, 2, 2, 2], (TIED - 2).tolist())


@register
def call_near() -> Case:
    """The same, where what was tied differs a little: one component is the largest, the others are not."""
    return integers("call-near", np.eye(4, dtype=int).tolist(), [2, 2, 2, 2], (TIED * NEARLY - 2).tolist())


@register
def call_flat() -> Case:
    """A loss that does not change with x: every gradient is 0."""
    return integers("call-flat", np.zeros((3, 3), int).tolist(), [0, 0, 0], [[1, 2, 3], [0, -1, 2]])


@register
def call_far() -> Case:
    """The words of `call-words` in a table far from 0: a mean of squares less a squared mean loses six digits there."""
    case = call_words()
    far = {str(case.table): float32_exact(1000 + case.params[str(case.table)])}
    return replace(case, name="call-far", title=f"{case.title} far from 0", params=case.params | far)


@register
def call_slow() -> Case:
    """Eigenvalues so close that fifty steps of an iteration still turn its vector."""
    rng = np.random.default_rng(119)
    basis = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    matrix = float32_exact(basis @ np.diag([2, 1.96, 1.92, -1.9, 0.5, 0.1]) @ basis.T)
    case = Case(
        name="call-slow",
        title="3 points, a quadratic with eigenvalues close to each other",
        model="quadratic",
        loss="value",
        params={"A": (matrix + matrix.T) / 2, "b": float32_exact(rng.standard_normal(6))},
        labels=np.zeros(3, np.int32),
        x=float32_exact(rng.standard_normal((3, 6))),
    )
    return with_arguments(case, (6,), 1, seed=120)
