"""Generators that draw something else, or the same for everyone."""

import math

import numpy as np

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import each, rounded

MUTANTS: list[Mutant] = []
mistake = collect(MUTANTS, "sampling")
SAMPLERS = ("rademacher", "gaussian", "uniform", "uniform_sphere", "uniform_ball", "dropout_mask")


@mistake("samplers: the seed is ignored", "a seed that is stored and never passed on")
def seed_ignored(m, bridge):
    def of(name):
        return lambda seed, shape, **options: getattr(m, name)(0, shape, **options)

    return {name: of(name) for name in SAMPLERS}


def first_for_all(name):
    """The replacement in which all samples get the draw of the first."""

    def replace(m, bridge):
        def draw(seed, shape, **options):
            drawn = getattr(m, name)(seed, shape, **options)
            return 0 * drawn + drawn[:1]

        return {name: draw}

    return replace


for name in ("gaussian", "uniform", "dropout_mask"):
    mistake(f"{name}: one draw for the whole batch", "an array of one sample's shape, broadcast")(first_for_all(name))


@mistake("rademacher: normal", "unbiased either way: only the variance tells")
def normal_for_signs(m, bridge):
    return {"rademacher": m.gaussian}


@mistake("rademacher: 0 and 1", "randint(0, 2) without 2b - 1")
def bits_for_signs(m, bridge):
    return {"rademacher": lambda seed, shape, *, like: (m.rademacher(seed, shape, like=like) + 1) / 2}


@mistake("rademacher: uniform on (-1, 1)", "symmetric, but its variance is 1/3")
def uniform_for_signs(m, bridge):
    return {"rademacher": lambda seed, shape, *, like: 2 * m.uniform(seed, shape, like=like) - 1}


@mistake("gaussian: uniform of variance 1", "right to the second moment: the fourth is 9/5, not 3")
def uniform_for_normal(m, bridge):
    return {"gaussian": lambda seed, shape, *, like: 12**0.5 * (m.uniform(seed, shape, like=like) - 0.5)}


@mistake("gaussian: variance ½", "a deviation of 1/√2, as complex normals have it")
def variance_of_half(m, bridge):
    return {"gaussian": lambda seed, shape, *, like: m.gaussian(seed, shape, like=like) / 2**0.5}


@mistake("gaussian: cut at two deviations", "Keras's TruncatedNormal is the usual initialiser")
def cut_normal(m, bridge):
    return {
        "gaussian": lambda seed, shape, *, like: m.project(m.gaussian(seed, shape, like=like), radius=2.0, norm="linf")
    }


@mistake("uniform: on (-1, 1)", "a symmetric draw where weights in [0, 1) are wanted")
def symmetric_uniform(m, bridge):
    return {"uniform": lambda seed, shape, *, like: 2 * m.uniform(seed, shape, like=like) - 1}


@mistake("uniform_sphere: from a cube", "a uniform draw normalised: corners get more")
def sphere_from_cube(m, bridge):
    return {"uniform_sphere": lambda seed, shape, *, like: m.unit(2 * m.uniform(seed, shape, like=like) - 1)}


@mistake("uniform_sphere: one norm for the whole batch", "adversarial-attacks-pytorch issue 12")
def sphere_of_the_batch(m, bridge):
    return {"uniform_sphere": lambda seed, shape, *, like: m.unit(m.gaussian(seed, shape, like=like), scope="tensor")}


@mistake("uniform_ball: the radius lacks its root", "radius U in the place of U^{1/n}: too many near the centre")
def radius_without_root(m, bridge):
    def uniform_ball(seed, shape, *, like, norm="l2"):
        if norm != "l2":
            return m.uniform_ball(seed, shape, like=like, norm=norm)
        point = m.uniform_sphere(seed, shape, like=like)
        return point * each(m.uniform(seed + 1, shape[:1], like=like), point)

    return {"uniform_ball": uniform_ball}


@mistake("uniform_ball: on the sphere", "cleverhans issue 381")
def ball_is_sphere(m, bridge):
    def uniform_ball(seed, shape, *, like, norm="l2"):
        drawn = m.uniform_ball(seed, shape, like=like, norm=norm)
        return m.unit(drawn) if norm == "l2" else drawn

    return {"uniform_ball": uniform_ball}


@mistake("uniform_ball: the norm is ignored", "an option that is not passed on")
def always_l2(m, bridge):
    return {"uniform_ball": lambda seed, shape, *, like, norm="l2": m.uniform_ball(seed, shape, like=like)}


@mistake("uniform_ball: [0, 1) in the l∞ ball", "lyakaap/VAT-pytorch commit c949665: rand without 2u - 1")
def one_sided_box(m, bridge):
    def uniform_ball(seed, shape, *, like, norm="l2"):
        drawn = m.uniform_ball(seed, shape, like=like, norm=norm)
        return abs(drawn) if norm == "linf" else drawn

    return {"uniform_ball": uniform_ball}


@mistake("dropout_mask: not scaled", "dropout of 2014, which scales at test time: the mean is 1 - q")
def mask_not_scaled(m, bridge):
    return {
        "dropout_mask": lambda seed, shape, *, rate, like: (
            (1 - rate) * m.dropout_mask(seed, shape, rate=rate, like=like)
        )
    }


@mistake("dropout_mask: the rate is what is kept", "TensorFlow 1's keep_prob")
def rate_is_kept(m, bridge):
    def dropout_mask(seed, shape, *, rate, like):
        left = m.steepest(m.uniform(seed, shape, like=like) - rate, norm="linf")  # 1 where it should be kept
        return (1 - left) / 2 / (1 - rate)

    return {"dropout_mask": dropout_mask}


@mistake("dropout_mask: normal about 1", "Gaussian dropout: the same two moments")
def gaussian_dropout(m, bridge):
    def dropout_mask(seed, shape, *, rate, like):
        return 1 + (rate / (1 - rate)) ** 0.5 * m.gaussian(seed, shape, like=like)

    return {"dropout_mask": dropout_mask}


# Seeds.


def with_seed(change):
    """The replacement in which every sampler gets a changed seed."""

    def replace(m, bridge):
        def of(name):
            return lambda seed, shape, **options: getattr(m, name)(change(seed), shape, **options)

        return {name: of(name) for name in SAMPLERS}

    return replace


mistake("samplers: 16 bits of the seed", "seed & 0xFFFF, into a smaller generator's state")(
    with_seed(lambda s: s % 2**16)
)
mistake("samplers: 31 bits of the seed", "a signed 32-bit integer's")(with_seed(lambda seed: seed % 2**31))
mistake("samplers: the seed's lowest bit is lost", "2·(seed // 2): even numbers for one stream, odd for another")(
    with_seed(lambda seed: seed - seed % 2)
)
mistake(
    "samplers: a seed that is an array draws something else",
    "folded into a key that stands for 0, where a number is made a key of its own",
    impossible={"torch": "a seed is a number there"},
)(with_seed(lambda seed: seed + 1 if hasattr(seed, "shape") else seed))


# Several axes, and none.


@mistake("uniform_sphere: normalised over the last axis alone", "norm(dim=-1): right for vectors")
def sphere_over_the_last_axis(m, bridge):
    def uniform_sphere(seed, shape, *, like):
        point = m.gaussian(seed, shape, like=like)
        return point / sum(point[..., k : k + 1] ** 2 for k in range(shape[-1])) ** 0.5

    return {"uniform_sphere": uniform_sphere}


@mistake(
    "uniform_sphere: single numbers are normalised as one sample", "norm(dim=-1), and the last axis is the batch's"
)
def sphere_of_numbers(m, bridge):
    def uniform_sphere(seed, shape, *, like):
        return m.unit(m.gaussian(seed, shape, like=like), scope="tensor" if math.prod(shape[1:]) == 1 else "sample")

    return {"uniform_sphere": uniform_sphere}


@mistake("uniform_ball: a root of the last axis's size", "U^{1/d}, d = shape[-1]: right for vectors")
def root_of_the_last_axis(m, bridge):
    def uniform_ball(seed, shape, *, like, norm="l2"):
        if norm != "l2":
            return m.uniform_ball(seed, shape, like=like, norm=norm)
        point = m.uniform_sphere(seed, shape, like=like)
        return point * each(m.uniform(seed + 1, shape[:1], like=like) ** (1 / shape[-1]), point)

    return {"uniform_ball": uniform_ball}


def along_an_axis(name):
    """The replacement in which what is drawn for the first place of an axis serves all of it."""

    def replace(m, bridge):
        def draw(seed, shape, **options):
            drawn = getattr(m, name)(seed, shape, **options)
            return drawn if len(shape) < 2 else 0 * drawn + drawn[:, :1]

        return {name: draw}

    return replace


for name in ("rademacher", "gaussian", "uniform", "dropout_mask"):
    mistake(f"{name}: one draw along an axis", "noise of shape (B, 1, …), broadcast: Dropout2d's, or a position's")(
        along_an_axis(name)
    )


@mistake("dropout_mask: of three axes the last shares its draw", "SpatialDropout1D for Dropout, of sequences alone")
def dropped_along_sequences(m, bridge):
    def dropout_mask(seed, shape, *, rate, like):
        drawn = m.dropout_mask(seed, shape, rate=rate, like=like)
        return 0 * drawn + drawn[:, :, :1] if len(shape) == 3 else drawn

    return {"dropout_mask": dropout_mask}


@mistake(
    "dropout_mask: a Python branch on the rate",
    "if rate == 0: return ones, which nothing can decide while a rate is traced",
    impossible={"torch": "what draws is not traced there"},
)
def branch_on_the_rate(m, bridge):
    def dropout_mask(seed, shape, *, rate, like):
        return m.dropout_mask(seed, shape, rate=0.0 if rate == 0 else rate, like=like)

    return {"dropout_mask": dropout_mask}


@mistake("gaussian: the sum of twelve uniform numbers", "an old trick: a fourth moment of 2.9, and never beyond 6")
def twelve_uniform_numbers(m, bridge):
    def gaussian(seed, shape, *, like):
        drawn = m.uniform(seed, (12, *shape), like=like)
        return sum(drawn[k] for k in range(12)) - 6

    return {"gaussian": gaussian}


@mistake("gaussian: cut at three deviations", "no outliers, as initialisers have it: a variance of 0.97")
def cut_at_three(m, bridge):
    def gaussian(seed, shape, *, like):
        drawn = m.gaussian(seed, shape, like=like)
        return (abs(drawn + 3) - abs(drawn - 3)) / 2

    return {"gaussian": gaussian}


@mistake(
    "uniform: one number in each of as many strata", "Latin hypercubes reduce variance: numbers tell of one another"
)
def in_strata(m, bridge):
    def uniform(seed, shape, *, like):
        drawn = m.uniform(seed, shape, like=like)
        count = int(np.prod(shape))
        strata = np.random.default_rng(1).permutation(count).reshape(shape)
        dtype = "float32" if "32" in str(drawn.dtype) else "float64"
        return (bridge.from_numpy(strata.astype(dtype)) + drawn) / count

    return {"uniform": uniform}


@mistake("samplers: float64 whatever the dtype is", "NumPy draws in float64, and nothing casts")
def always_double(m, bridge):
    def of(name):
        return lambda seed, shape, *, like: getattr(m, name)(seed, shape, like=bridge.from_numpy(np.zeros(1)))

    return {name: of(name) for name in ("gaussian", "uniform")}


# What should be independent.


@mistake("uniform_ball: one radius for the batch", "rand(1) for rand(len(x), 1)")
def one_radius(m, bridge):
    def uniform_ball(seed, shape, *, like, norm="l2"):
        if norm != "l2":
            return m.uniform_ball(seed, shape, like=like, norm=norm)
        radius = m.uniform(seed + 1, shape[:1], like=like)[0] ** (1 / math.prod(shape[1:]))
        return radius * m.uniform_sphere(seed, shape, like=like)

    return {"uniform_ball": uniform_ball}


@mistake(
    "uniform_ball: the radius is the direction's own share", "a draw saved: the share of the first half is uniform"
)
def radius_of_the_direction(m, bridge):
    def uniform_ball(seed, shape, *, like, norm="l2"):
        if norm != "l2":
            return m.uniform_ball(seed, shape, like=like, norm=norm)
        point = m.uniform_sphere(seed, shape, like=like)
        share = m.l2_norm(point[:, : (shape[1] + 1) // 2]) ** 2
        return point * each(share ** (1 / math.prod(shape[1:])), point)

    return {"uniform_ball": uniform_ball}


@mistake("uniform_ball: radius and direction from one seed", "two generators started alike, or one key used twice")
def one_key_twice(m, bridge):
    def uniform_ball(seed, shape, *, like, norm="l2"):
        if norm != "l2":
            return m.uniform_ball(seed, shape, like=like, norm=norm)
        point = m.uniform_sphere(seed, shape, like=like)
        return point * each(m.uniform(seed, shape[:1], like=like) ** (1 / math.prod(shape[1:])), point)

    return {"uniform_ball": uniform_ball}


@mistake("uniform_ball: a sign is read off its magnitude in the l∞ ball", "one bit of the uniform number used twice")
def sign_of_the_magnitude(m, bridge):
    def uniform_ball(seed, shape, *, like, norm="l2"):
        drawn = m.uniform_ball(seed, shape, like=like, norm=norm)
        return abs(drawn) * m.steepest(abs(drawn) - 0.5, norm="linf") if norm == "linf" else drawn

    return {"uniform_ball": uniform_ball}


@mistake("uniform_ball: one sign for all of a sample in the l1 ball", "signs of shape (B, 1), broadcast")
def one_sign_a_sample(m, bridge):
    def uniform_ball(seed, shape, *, like, norm="l2"):
        drawn = m.uniform_ball(seed, shape, like=like, norm=norm)
        return abs(drawn) * each(m.rademacher(seed + 1, shape[:1], like=like), drawn) if norm == "l1" else drawn

    return {"uniform_ball": uniform_ball}


@mistake("uniform_ball: signs in the l1 ball with the seed plus 1", "a second draw needs another seed: the next call's")
def signs_of_the_next_seed(m, bridge):
    def uniform_ball(seed, shape, *, like, norm="l2"):
        if norm != "l1":
            return m.uniform_ball(seed, shape, like=like, norm=norm)
        sizes, others = (abs(m.uniform_ball(one, shape, like=like, norm="l1")) for one in (seed, seed + 1))
        median = 1 - 0.5 ** (1 / math.prod(shape[1:]))
        return sizes * m.steepest(others - median, norm="linf")

    return {"uniform_ball": uniform_ball}


def in_float32(name):
    """The replacement that draws numbers with the digits of float32."""
    return lambda m, bridge: {name: lambda *given, **options: rounded(getattr(m, name)(*given, **options))}


for name in ("gaussian", "uniform"):
    mistake(f"{name}: drawn in float32", "torch.rand(shape).to(like): the default dtype's digits")(in_float32(name))
