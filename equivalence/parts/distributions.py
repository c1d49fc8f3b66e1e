"""What samplers draw, turned into independent numbers of one known distribution (B3).

All but `uniform` and the masks are symmetric in every component: signs and magnitudes are looked at apart. Magnitudes
of three components become uniform in (0, 1), by closed forms that hold for three: Archimedes' hat box, shares of a
simplex. That two numbers are independent is seen in the larger one of them.

Two tests a sampler, each of one pool of independent numbers: a judge's false alarms add up over tests.
"""

import math
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from equivalence.measure import ROUNDING_UNIT, bound, exact, sampled

Array = np.ndarray
Named = tuple[str, dict[str, Any]]
SHAPE, RATE = (14_000, 3), 0.3
NEAR = 1e-3  # of the norm 1 comes one sample at least, but for a chance of (1 - NEAR)^42000 < 1e-18


def draw(methods: SimpleNamespace, seed: int, like: Any) -> dict[str, Any]:
    """Every sampler's (N, 3) by name."""
    found = {name: getattr(methods, name)(seed, SHAPE, like=like) for name in ("rademacher", "gaussian", "uniform")}
    found["uniform_sphere"] = methods.uniform_sphere(seed, SHAPE, like=like)
    found |= {f"uniform_ball {p}": methods.uniform_ball(seed, SHAPE, like=like, norm=p) for p in ("l2", "linf", "l1")}
    return found | {"dropout_mask": methods.dropout_mask(seed, SHAPE, rate=RATE, like=like)}


def tests(drawn: dict[str, Array], others: dict[str, Array]) -> Iterator[Named]:
    """Measure all samplers, drawn with two seeds; beside each distribution, how far off a wrong sampler's would be."""
    mask, other = drawn["dropout_mask"], others["dropout_mask"]
    yield "rademacher: ±1", exact(np.abs(drawn["rademacher"]) - 1, 1.0, "float64")
    yield "dropout_mask: 0 or 1/(1 - rate)", exact(mask * (1 - RATE) - (mask > 0), 1.0, "float64")
    yield "uniform_sphere: norm", exact(np.linalg.norm(drawn["uniform_sphere"], axis=1) - 1, 1.0, "float64")
    for name, p in NORMS.items():
        left = 1 - np.linalg.norm(drawn[name], p, axis=1)
        yield f"{name}: norm", bound(left, 0.0, slack=4 * ROUNDING_UNIT["float64"], tightest=NEAR)
    swapped = 1 - 2 * RATE  # what is kept and what is dropped
    yield from one_and_two("dropout_mask: rate", mask > 0, other > 0, coin(RATE), swapped)
    for name in (name for name in drawn if name not in ("uniform", "dropout_mask")):
        yield from one_and_two(f"{name}: signs", drawn[name] > 0, others[name] > 0, coin(0.5), 0.5)  # no minus
    for name, (turned, wrong) in MAGNITUDES.items():
        yield from one_and_two(f"{name}: magnitudes", turned(drawn[name]), turned(others[name]), uniform, wrong)


def one_and_two(
    name: str, numbers: Array, others: Array, function: Callable[[Array], Array], wrong: float
) -> Iterator[Named]:
    """Measure numbers (N, m), and the larger one of two: neighbouring components, neighbouring samples, two seeds."""
    half, quarter = len(numbers) // 2, len(numbers) // 4
    columns, rows, rest = np.split(numbers, [half, half + quarter])
    two = [columns[:, :2].max(1), np.maximum(rows[::2], rows[1::2]), np.maximum(rest, others[half + quarter :])]
    levels = function(np.unique(numbers))  # where one number stands for two, its distribution is not squared
    share = min(map(np.size, two)) / sum(map(np.size, two))
    yield name, sampled([numbers], function, wrong)
    pool = np.concatenate([np.ravel(larger) for larger in two])
    yield f"{name}, two", sampled([pool], lambda t: function(t) ** 2, share * float((levels - levels**2).max()))


def uniform(t: Array) -> Array:
    """The distribution function of a number uniform in (0, 1)."""
    return np.clip(t, 0, 1)


def coin(zero: float) -> Callable[[Array], Array]:
    """The distribution function of a number that is 0 with the given probability, else 1."""
    return lambda t: np.where(t < 0, 0.0, np.where(t < 1, zero, 1.0))


def folded_normal(z: Array) -> Array:
    return np.vectorize(math.erf)(np.abs(z) / math.sqrt(2))


def on_sphere(z: Array) -> Array:
    """Height, and angle about it folded at axes and diagonals, (N, 3) -> (N, 2)."""
    height, sizes = np.abs(z[:, 0]), np.abs(z[:, 1:])
    return np.stack([height, np.arctan2(sizes.min(1), sizes.max(1)) * 4 / math.pi], axis=1)


def in_l2_ball(z: Array) -> Array:
    """Volume within the radius, and the direction's two, (N, 3) -> (N, 3)."""
    radius = np.linalg.norm(z, axis=1, keepdims=True)
    return np.concatenate([radius**3, on_sphere(z / radius)], axis=1)


def in_l1_ball(z: Array) -> Array:
    """Volume within the L1 norm, and two components' shares of what they leave, (N, 3) -> (N, 3)."""
    sizes = np.abs(z)
    total, rest = sizes.sum(1), sizes[:, 1:].sum(1)
    return np.stack([total**3, 1 - (rest / total) ** 2, sizes[:, 1] / rest], axis=1)


NORMS = {"uniform": np.inf, "uniform_ball l2": 2, "uniform_ball linf": np.inf, "uniform_ball l1": 1}
FURTHEST = math.sqrt(math.log(6 / math.pi))  # where a normal number's magnitude is most unlike a uniform one's
DIAGONAL = math.acos(math.sqrt(math.pi) / 2)
MAGNITUDES: dict[str, tuple[Callable[[Array], Array], float]] = {  # and how far off a wrong sampler's pool is
    "gaussian": (folded_normal, math.erf(FURTHEST / math.sqrt(2)) - FURTHEST / math.sqrt(3)),  # uniform, variance 1
    "uniform": (lambda z: z, 0.5),  # normal
    "uniform_sphere": (on_sphere, (4 / math.pi * DIAGONAL - math.tan(DIAGONAL)) / 2),  # the cube's points, normalised
    "uniform_ball l2": (in_l2_ball, (3**-0.5 - 3**-1.5) / 3),  # a uniform radius
    "uniform_ball linf": (np.abs, 3**-1.5),  # the L2 ball's points
    "uniform_ball l1": (in_l1_ball, (1.5 - math.sqrt(2)) / 3),  # uniform numbers in the place of exponential ones
}
