"""Generators that draw something else, or the same for everyone."""

from equivalence.mutant import Mutant, collect
from equivalence.parts.composed import each

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
