"""Seeded variations of what is right: a check that fails on one of them gives a false alarm.

A variation of agreement differs from the published cases in seeds, batch size, shape of a sample, classes, depth,
width, activation and dtype, and in the algorithm: some methods are computed another right way. A group shares one shape
and dtype, so that it is compiled once. A variation of a claim has the claim's own case with other numbers in it.
"""

from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from equivalence import agreement
from equivalence.alternatives import ALTERNATIVES
from equivalence.cases import Case, build, dense_params, float32_exact, with_arguments
from equivalence.claim import Claim, claims
from equivalence.mutant import planted
from equivalence.problem import Problem
from equivalence.reference import Reference
from equivalence.usages import USAGES, Usage

DRAWS, CHOSEN, CLAIMS = 3, 12, 2  # of numbers and of usages: a group is their product, and a few claims
REDRAWN = ("quadratic", "softmax", "logistic", "tanh-mlp", "softplus-mlp")


def measure(bridge: ModuleType, methods: SimpleNamespace, device: str, seed: int) -> dict[str, dict[str, Any]]:
    """A group's measurements by what was varied."""
    rng = np.random.default_rng(seed)
    used = with_alternatives(methods, bridge, rng)
    shape, dtype = drawn_shape(rng), str(rng.choice(["float64", "float32"]))
    cases = [drawn_case(shape, np.random.default_rng([seed, draw])) for draw in range(DRAWS)]
    found = agreement.measure(
        [Problem(case, bridge, used, dtype, device) for case in cases],
        [Reference(case) for case in cases],
        drawn_usages(cases[0], rng),
    )
    parts = {f"{usage}, {case}, {dtype}": part for case, own in found.items() for usage, part in own.items()}
    for claim in drawn_claims(rng):
        case = redraw_case(build([claim.control])[claim.control], rng)
        measured = claim.measure(Problem(case, bridge, used, "float64", device), Reference(case))
        parts |= {f"{claim.id} {name}, {case.name}, seed {seed}": part for name, part in measured}
    return parts


def drawn_shape(rng: np.random.Generator) -> SimpleNamespace:
    """Sizes of everything: batch, sample, hidden layers, classes."""
    return SimpleNamespace(
        batch=int(rng.integers(1, 8)),
        sample=tuple(int(size) for size in rng.integers(1, 4, rng.integers(1, 4)) + (rng.random() < 0.5)),
        hidden=[int(size) for size in rng.integers(3, 9, rng.integers(0, 3))],  # a table of two rows normalises to ±1
        classes=int(rng.integers(3, 7)),
        model=str(rng.choice(["mlp", "softplus_mlp"])),
        gain=float(rng.uniform(0.5, 2)),
    )


def drawn_case(shape: SimpleNamespace, rng: np.random.Generator) -> Case:
    """A network of that shape with other numbers each time."""
    sizes = [int(np.prod(shape.sample)), *shape.hidden, shape.classes]
    words = f"{shape.batch} of {'x'.join(map(str, shape.sample))}, {shape.model} {'-'.join(map(str, sizes))}"
    case = Case(
        name=f"{words}, {int(rng.integers(2**31))}",
        title=words,
        model=shape.model,
        loss="cross_entropy",
        params=dense_params(rng, sizes, shape.gain),
        labels=rng.integers(0, shape.classes, shape.batch).astype(np.int32),
        x=float32_exact(rng.standard_normal((shape.batch, *shape.sample))),
    )
    return with_arguments(case, shape.sample, shape.classes, seed=int(rng.integers(2**31)))


def drawn_usages(case: Case, rng: np.random.Generator) -> list[Usage]:
    """Some of those that fit: a box is the same for all draws only by chance."""
    fitting = [usage for usage in USAGES if usage.applies(case) and "bounds" not in usage.name]
    chosen = rng.choice(len(fitting), CHOSEN, replace=False)
    return [fitting[index] for index in sorted(chosen)]


def drawn_claims(rng: np.random.Generator) -> list[Claim]:
    """Some of those whose case stands for any other of its kind."""
    fitting = [claim for claim in claims().values() if claim.control in REDRAWN]
    return [fitting[index] for index in rng.choice(len(fitting), CLAIMS, replace=False)]


def redraw_case(case: Case, rng: np.random.Generator) -> Case:
    """The case with parameters and inputs of the same sizes drawn anew; a quadratic keeps its spectrum."""
    params = {
        name: rotated(value, rng) if name == "A" else float32_exact(value.std() * rng.standard_normal(value.shape))
        for name, value in case.params.items()
    }
    assert case.x is not None
    x = float32_exact(rng.standard_normal(case.x.shape))
    labels = rng.permutation(case.labels)
    classes = case.extra["targets"].shape[1]
    fresh = replace(case, params=params, x=x, labels=labels)
    return with_arguments(fresh, case.x.shape[1:], classes, seed=int(rng.integers(2**31)))


def rotated(matrix: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A symmetric matrix in another orthogonal basis."""
    basis = np.linalg.qr(rng.standard_normal(matrix.shape))[0]
    turned = float32_exact(basis @ matrix @ basis.T)
    return (turned + turned.T) / 2


def with_alternatives(methods: SimpleNamespace, bridge: ModuleType, rng: np.random.Generator) -> SimpleNamespace:
    """The methods, each group of alternatives taken or left by chance; each is composed of reference methods."""
    taken = [alternative for alternative in ALTERNATIVES if rng.random() < 0.5]
    return planted(methods, {name: call for each in taken for name, call in each(methods, bridge).items()})
