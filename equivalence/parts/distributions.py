"""What samplers draw, turned into independent numbers of one known distribution (B3).

All but `uniform` and the masks are symmetric in every component: signs and magnitudes are looked at apart, and then
together. Magnitudes of four components become numbers uniform in (0, 1), by closed forms that hold for four: half of a
point on the sphere and the angles within both halves, shares of a simplex. That numbers are independent is seen in the
larger one of two from different samples, and in the largest of all that one sample has.

A judge's false alarms add up over tests: each is of one pool of independent numbers.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np

from equivalence.measure import ROUNDING_UNIT, bound, distance, exact, not_covered, sampled
from equivalence.protocol import NotCovered

T = TypeVar("T")
Array = np.ndarray
Draws = dict[str, Array]
Named = tuple[str, dict[str, Any]]
SHAPE, RATE = (10_024, 2, 1, 2), 0.3  # norms are over all four numbers of a sample, not over an axis
RATES = (0.0, 0.5, 0.9)  # others, the least among them
BALLS = {"uniform_ball l2": "l2", "uniform_ball linf": "linf", "uniform_ball l1": "l1"}
RARE = 3e-4  # below 2⁻¹¹, the smallest step of half precision below 1
NEAR = 1e-3  # of the norm 1 comes one sample at least, but for a chance of (1 - NEAR)^40000 < 1e-17
# Of random signs, how often the root of their number the sum of products with what comes some places later may be: by
# Hoeffding's inequality more has a chance of exp(-SIGMAS²/2) at each of so many places.
SIGMAS = 9.0
NEAREST = 256  # places from the end, where few products are left
# Kolmogorov's distance times the root of the number is hardly smaller: a chance of 12·exp(-π²/(8·LEAST²)) = 5e-13. One
# number from each of as many strata is spread so evenly, and every one of them tells of the others.
LEAST = 0.2
DEVIATIONS = 7.0  # of a mean of so many numbers: a chance of 3e-12
MOMENTS = 2**20  # numbers: Irwin and Hall's sum of twelve has a fourth moment of 2.9, which is 10 deviations off
REPEATED = 0.01  # of the numbers may occur twice: more than do on a grid of 2^24 numbers, far less than if any recur


def numbers(methods: SimpleNamespace, seed: Any, shape: tuple[int, ...], like: Any) -> dict[str, Any]:
    """Map each sampler of single numbers to what it draws, in any shape."""
    found = {name: getattr(methods, name)(seed, shape, like=like) for name in ("rademacher", "gaussian", "uniform")}
    return found | {"dropout_mask": methods.dropout_mask(seed, shape, rate=RATE, like=like)}


def points(methods: SimpleNamespace, seed: Any, shape: tuple[int, ...], like: Any) -> dict[str, Any]:
    """Map each sampler of points to what it draws, one a sample: (B, *S). A ball that is not offered is left out."""
    found = {"uniform_sphere": methods.uniform_sphere(seed, shape, like=like)}
    for ball, norm in BALLS.items():
        with contextlib.suppress(NotCovered):
            found[ball] = methods.uniform_ball(seed, shape, like=like, norm=norm)
    return found


def missing(drawn: Draws) -> Iterator[Named]:
    """Say which balls are not offered."""
    for ball in BALLS.keys() - drawn.keys():
        yield ball, not_covered(f"{ball} is not offered")


def offered(names: Mapping[str, T], drawn: Draws) -> Iterator[tuple[str, T]]:
    """Those of the names that were drawn, with what belongs to them."""
    return ((name, value) for name, value in names.items() if name in drawn)


def masks(methods: SimpleNamespace, seed: Any, shape: tuple[int, ...], like: Any) -> dict[str, Any]:
    """By name masks of every other rate."""
    return {f"dropout_mask {rate}": methods.dropout_mask(seed, shape, rate=rate, like=like) for rate in RATES}


def rare(methods: SimpleNamespace, seed: Any, shape: tuple[int, ...], like: Any) -> dict[str, Any]:
    """Numbers of which those below RARE count, and a mask that drops as few."""
    mask = methods.dropout_mask(seed, shape, rate=RARE, like=like)
    return {"uniform": methods.uniform(seed, shape, like=like), "dropout_mask": mask}


def rows(drawn: Draws) -> Draws:
    """Samples (N, *S) as rows (N, n) of float64."""
    return {name: found.reshape(len(found), -1).astype(float) for name, found in drawn.items()}


def shaped(drawn: Draws, shape: tuple[int, ...], dtype: str) -> Named:
    """Measure that all draws have the shape that was asked for, and the dtype."""
    wrong = [drawn[name].shape != shape or drawn[name].dtype != dtype for name in drawn]
    return f"{', '.join(drawn)}: shape {shape} and {dtype}", exact(np.array(wrong, float), 1.0, "float64")


def supports(drawn: Draws, dtype: str) -> Iterator[Named]:
    """Measure that draws (N, *S) are where they may be, to the dtype's rounding."""
    found = rows(drawn)
    mask = found["dropout_mask"]
    yield f"rademacher: ±1, {dtype}", exact(np.abs(found["rademacher"]) - 1, 1.0, dtype)
    yield f"dropout_mask: 0 or 1/(1 - rate), {dtype}", exact(mask * (1 - RATE) - (mask > 0), 1.0, dtype)
    yield f"uniform_sphere: norm, {dtype}", exact(np.linalg.norm(found["uniform_sphere"], axis=1) - 1, 1.0, dtype)
    for name, p in offered(NORMS, found):
        left = 1 - np.linalg.norm(found[name], p, axis=1)
        yield f"{name}: norm, {dtype}", bound(left, 0.0, slack=4 * ROUNDING_UNIT[dtype], tightest=NEAR)


def tests(drawn: Draws, others: Draws) -> Iterator[Named]:
    """Measure all samplers, drawn with two seeds; beside each distribution, how far off a wrong sampler's would be."""
    first, second = rows(drawn), rows(others)
    dropped, other = (draws["dropout_mask"] == 0 for draws in (first, second))
    swapped = 1 - 2 * RATE  # what is kept and what is dropped
    yield from alone_and_together("dropout_mask: rate", dropped, other, coin(1 - RATE), swapped)
    yield from apart(first, "of many")
    for name in (name for name in first if name not in ("uniform", "dropout_mask")):
        yield from alone_and_together(f"{name}: signs", first[name] > 0, second[name] > 0, coin(0.5), 0.5)  # no minus
    for name, (turned, wrong) in offered(MAGNITUDES, first):
        magnitudes = turned(first[name])
        yield from alone_and_together(f"{name}: magnitudes", magnitudes, turned(second[name]), uniform, wrong)
        yield f"{name}: not too even", bound(distance(np.ravel(magnitudes), uniform) * magnitudes.size**0.5, LEAST)
        yield f"{name}: repeated", repeated(first[name])
        yield f"{name}: digits", digits(first[name])
        if name != "uniform":
            yield f"{name}: signs and magnitudes", coupled(first[name] > 0, magnitudes)
    if (ball := "uniform_ball l2") in first:
        yield from streams(first[ball])


def neighbours(drawn: Draws, after: Draws) -> Iterator[Named]:
    """Measure that what is drawn with a seed has nothing in common with what is drawn with the next one.

    A second draw within a sampler needs a seed, too. Where that is the first one plus 1, it is the next call's first.
    """
    for (one, other), words in (((rows(drawn), rows(after)), "the next"), ((rows(after), rows(drawn)), "the last")):
        for name, (turned, _) in offered(MAGNITUDES, one):
            if name != "uniform":
                yield f"{name}: magnitudes and {words} seed's signs", coupled(other[name] > 0, turned(one[name]))


def alone_and_together(
    name: str, found: Array, others: Array, function: Callable[[Array], Array], wrong: float
) -> Iterator[Named]:
    """Measure numbers (N, m), pairs of them from two samples, and the largest of a sample.

    Pairs are of neighbouring samples, of samples half a batch apart, and of draws with two seeds. Where one number
    stands for two, its distribution is not squared.
    """
    half, quarter = len(found) // 2, len(found) // 4
    near = found[:quarter]
    pairs = [(near[::2], near[1::2]), (found[quarter:half], found[half + quarter :])]
    pairs.append((found[half : half + quarter], others[:quarter]))
    larger = [np.maximum(*pair) for pair in pairs]
    levels, count = function(np.unique(found)), found.shape[1]
    share = min(map(np.size, larger)) / sum(map(np.size, larger))
    yield name, sampled([found], function, wrong)
    pool = np.concatenate([np.ravel(pair) for pair in larger])
    yield f"{name}, two", sampled([pool], lambda t: function(t) ** 2, share * float((levels - levels**2).max()))
    fewer = float((levels ** (count - 1) - levels**count).max())
    yield f"{name}, all of a sample", sampled([found.max(1)], lambda t: function(t) ** count, fewer)


def coupled(signs: Array, magnitudes: Array) -> dict[str, Any]:
    """Measure that numbers turned round where a sign is negative are uniform still. A sign read off them would show."""
    return sampled([np.where(signs[:, : magnitudes.shape[1]], magnitudes, 1 - magnitudes)], uniform, 0.5)


def repeated(drawn: Array) -> dict[str, Any]:
    """Measure that magnitudes do not recur: no sample is another one's copy or mirror image, nor part of one."""
    return bound(np.array([REPEATED - recurring(np.abs(drawn))]), 0.0)


def digits(drawn: Array) -> dict[str, Any]:
    """Measure that numbers have the digits of float64: those that float32 holds were drawn in it, and cast."""
    return bound(np.array([REPEATED - float((drawn == drawn.astype(np.float32)).mean())]), 0.0)


def recurring(found: Array) -> float:
    """The share of the numbers that have occurred before."""
    return 1 - len(np.unique(found)) / found.size


def streams(found: Array) -> Iterator[Named]:
    """Measure that radii in the L2 ball do not come from the numbers that directions come from.

    A generator that is started twice gives both the same bits. The k-th radius then goes with the k-th component drawn:
    in JAX with its sign, elsewhere with the sign of every second one, there or beside it.
    """
    large = in_l2_ball(found)[:, 0] > 0.5
    signs = np.ravel(found)[: len(found)] > 0
    for where, beside in (("at its place", signs), ("beside it", signs.reshape(-1, 2)[:, ::-1].ravel())):
        yield f"uniform_ball l2: radius and sign {where}", sampled([large ^ beside], coin(0.5), 0.25)


def on_a_line(drawn: Draws) -> Iterator[Named]:
    """Measure points (B, 1) in one dimension: on the sphere ±1, in a ball uniform in (-1, 1)."""
    yield "uniform_sphere on a line: ±1", exact(np.abs(drawn["uniform_sphere"]) - 1, 1.0, "float64")
    for name, _ in offered(BALLS, drawn):
        yield f"{name} on a line", sampled([(1 + drawn[name]) / 2], uniform, 0.5)  # ±1, or one norm for the batch


def in_balls(drawn: Draws) -> Iterator[Named]:
    """Measure that the only sample of a batch is on the sphere and in the balls."""
    found = rows(drawn)
    yield (
        "uniform_sphere: norm of one sample",
        exact(np.linalg.norm(found["uniform_sphere"], axis=1) - 1, 1.0, "float64"),
    )
    for name, p in offered(NORMS, found):
        yield f"{name}: norm of one sample", bound(1 - np.linalg.norm(found[name], p, axis=1), 0.0)


def at_rates(drawn: Draws) -> Iterator[Named]:
    """Measure that masks of every rate are 0 or 1/(1 - rate): of rate 0 they are 1."""
    for rate, mask in zip(RATES, drawn.values(), strict=True):
        kept = mask > 0 if rate else 1.0
        yield f"dropout_mask: rate {rate}", exact(mask * (1 - rate) - kept, 1.0, "float64")


def apart(drawn: Draws, words: str) -> Iterator[Named]:
    """Measure that numbers, in the order in which they are drawn, have nothing to do with those some places later.

    Such as are drawn once and repeated, mirrored or shared along an axis have. It shows in which are above the middle.
    """
    middles = {"uniform": 0.5, "dropout_mask": 0.5}
    for name, found in drawn.items():
        kept = 1 - RATE if name == "dropout_mask" else 0.5
        signs = ((np.ravel(found) > middles.get(name, 0.0)) - kept) / kept  # of mean 0, and at most 1
        power = np.abs(np.fft.rfft(signs, 2 * signs.size)) ** 2
        products = np.fft.irfft(power)[1 : signs.size - NEAREST]
        counts = signs.size - np.arange(1, len(products) + 1)
        yield f"{name}: some places apart, {words}", bound(SIGMAS - np.abs(products) / np.sqrt(counts), 0.0)


def normal(methods: SimpleNamespace, seed: Any, shape: tuple[int, ...], like: Any) -> dict[str, Any]:
    """Normal numbers alone."""
    return {"gaussian": methods.gaussian(seed, shape, like=like)}


def rarely(drawn: Draws, dtype: str) -> Iterator[Named]:
    """Measure how many numbers are below RARE: of 11 bits drawn in float16, those below are 1/2048, a half too many."""
    for name, below in {"uniform": RARE, "dropout_mask": 1e-9}.items():
        found = drawn[name].astype(float)
        off = abs((found < below).mean() - RARE) * (found.size / RARE) ** 0.5
        yield f"{name}: below {RARE}, {dtype}", bound(DEVIATIONS - off, 0.0)


def moments(drawn: Array) -> Iterator[Named]:
    """Measure mean, variance and fourth moment of so many normal numbers."""
    exact_moments = {1: (0.0, 1.0), 2: (1.0, 2.0), 4: (3.0, 96.0)}  # and the variance of the power
    for power, (mean, variance) in exact_moments.items():
        off = (drawn.astype(float) ** power).mean() - mean
        yield f"gaussian: moment {power}", bound(DEVIATIONS - np.abs(off) * (drawn.size / variance) ** 0.5, 0.0)


def uniform(t: Array) -> Array:
    """The distribution function of a number uniform in (0, 1)."""
    return np.clip(t, 0, 1)


def coin(zero: float) -> Callable[[Array], Array]:
    """The distribution function of a number that is 0 with the given probability, else 1."""
    return lambda t: np.where(t < 0, 0.0, np.where(t < 1, zero, 1.0))


def folded_normal(z: Array) -> Array:
    return np.vectorize(math.erf)(np.abs(z) / math.sqrt(2))


def on_sphere(z: Array) -> Array:
    """The first half's share of the square, and each half's angle folded at axes and diagonals, (N, 4) -> (N, 3)."""
    sizes = np.abs(z).reshape(-1, 2, 2)
    angles = np.arctan2(sizes.min(2), sizes.max(2)) * 4 / math.pi
    return np.concatenate([(sizes[:, :1] ** 2).sum(2), angles], axis=1)


def in_l2_ball(z: Array) -> Array:
    """Volume within the radius, and the direction's three, (N, 4) -> (N, 4)."""
    radius = np.linalg.norm(z, axis=1, keepdims=True)
    return np.concatenate([radius**4, on_sphere(z / radius)], axis=1)


def in_l1_ball(z: Array) -> Array:
    """Three components' shares of what those before them leave, and volume within the L1 norm, (N, 4) -> (N, 4)."""
    sizes = np.abs(z)
    rests = np.cumsum(sizes[:, ::-1], axis=1)[:, ::-1]  # the norm, then what is left of it
    return np.concatenate([1 - (rests[:, 1:] / rests[:, :-1]) ** [3, 2, 1], rests[:, :1] ** 4], axis=1)


NORMS = {"uniform": np.inf, "uniform_ball l2": 2, "uniform_ball linf": np.inf, "uniform_ball l1": 1}
FURTHEST = math.sqrt(math.log(6 / math.pi))  # where a normal number's magnitude is most unlike a uniform one's
UNIFORM_RADIUS = (4 ** (-1 / 3) - 4 ** (-4 / 3)) / 4  # U⁴ for one of four numbers
MAGNITUDES: dict[str, tuple[Callable[[Array], Array], float]] = {  # and how far off a wrong sampler's pool is
    "gaussian": (folded_normal, math.erf(FURTHEST / math.sqrt(2)) - FURTHEST / math.sqrt(3)),  # uniform, variance 1
    "uniform": (lambda z: z, 0.5),  # normal
    "uniform_sphere": (on_sphere, (3 - 2 * math.sqrt(2)) / 3),  # the cube's points, normalised: at ½
    "uniform_ball l2": (in_l2_ball, UNIFORM_RADIUS),
    "uniform_ball linf": (np.abs, 3 * math.sqrt(3) / (4 * math.pi) - 1 / 6),  # the L2 ball's points: at ½
    "uniform_ball l1": (in_l1_ball, UNIFORM_RADIUS),
}
