"""A wrong implementation is like the known mistake that gives its errors, or a multiple of them; else like none."""

import numpy as np
import pytest

from bench.proofs.comparison import compare
from bench.proofs.mutants import DTYPE
from equivalence import tasks
from equivalence.foreign.resemblance import Likeness, errors, likeness, measure, nearest
from equivalence.mutant import CASE, mutants, planted
from equivalence.reference import known
from equivalence.usages import USAGES
from tests.other_constants import VARIANTS, variant
from tests.quick import mostly_slow

UNIT = 2.0**-53
SIZE = 1e-3 / UNIT  # errors of a thousandth
DIRECTION, OTHER = np.random.default_rng(0).standard_normal((2, 36))
USED, UNUSED = ("usage", CASE, DTYPE, "fgm"), ("usage", CASE, DTYPE, "fgm linf")


def found(*checks):
    """Errors of checks, each given by its values and gradients in one vector."""
    names = USED, UNUSED
    return errors(
        (name, {"value": vector[:4], "gradient": vector[4:], "rounding unit": UNIT})
        for name, vector in zip(names, checks, strict=False)
    )


def rounded(vector, seed=1):
    """As another implementation would round it."""
    return vector + np.random.default_rng(seed).uniform(-8, 8, vector.shape)


def test_the_same_numbers_are_the_same_whoever_rounded_them():
    assert likeness(found(rounded(SIZE * DIRECTION)), found(SIZE * DIRECTION)) == Likeness(1.0, 0.0)


@pytest.mark.parametrize("ratio", [5 / 3, 0.2, -1.0, 300.0])
def test_a_multiple_has_its_factor(ratio):
    like = likeness(found(rounded(ratio * SIZE * DIRECTION)), found(SIZE * DIRECTION))
    assert like.ratio == pytest.approx(ratio, rel=1e-9) and like.deviation == 0


@pytest.mark.parametrize(("constant", "second", "alike"), [(0.05, 1, True), (0.05, 10, False), (1.0, 1, False)])
def test_another_constant_may_differ_by_what_second_order_leaves(constant, second, alike):
    """error(c) = c·a + c²·b, b of the size of a, or larger."""

    def error(c):
        return (c * DIRECTION + c**2 * second * OTHER) / UNIT

    like = likeness(found(error(constant)), found(error(0.03)))
    assert (like is not None) == alike
    if like:
        assert like.ratio == pytest.approx(constant / 0.03, rel=0.1) and 0 < like.deviation < 0.1


def test_a_large_factor_must_be_borne_out_better():
    nearly = DIRECTION + 0.02 * OTHER
    assert likeness(found(2 * SIZE * nearly), found(SIZE * DIRECTION))
    assert not likeness(found(200 * SIZE * nearly), found(SIZE * DIRECTION))


def test_what_fails_elsewhere_is_not_alike():
    mistake = found(SIZE * DIRECTION, SIZE * OTHER)
    assert likeness(found(SIZE * DIRECTION, SIZE * OTHER), mistake)
    assert not likeness(found(SIZE * OTHER), found(SIZE * DIRECTION))  # another direction
    assert not likeness(found(SIZE * DIRECTION, 0 * OTHER), mistake)  # holds where the mistake fails
    assert not likeness(mistake, found(SIZE * DIRECTION, 0 * OTHER))  # fails where the mistake holds
    assert not likeness(found(SIZE * DIRECTION, 2 * SIZE * OTHER), mistake)  # not by one factor


def test_errors_that_may_be_rounding_are_like_nothing():
    near = rounded(np.zeros(36)) * 6  # not within the limit, and of no direction
    assert np.abs(near).max() > 32
    assert not likeness(found(near), found(near))
    assert not likeness(found(SIZE * DIRECTION), found(rounded(np.zeros(36))))  # nor is a mistake that does not show


def test_a_direction_takes_several_numbers():
    def one(value):
        return errors([(USED, {"value": [value], "gradient": [0.0], "rounding unit": UNIT})])

    assert not likeness(one(SIZE), one(SIZE))


def test_what_gave_no_numbers_is_not_compared():
    nothing = [(USED, {"error": "ValueError: no"}), (UNUSED, {"value": [np.nan], "gradient": [1.0]})]
    assert list(errors(nothing[:1])) == []
    assert not likeness(found(SIZE * DIRECTION), {})


def test_the_nearest_in_size_and_direction_is_named_and_equals_with_it_in_their_order():
    def names(**ratios):
        return list(nearest({name: Likeness(*like) for name, like in ratios.items()}))

    assert names(a=(0.045, 0.0), b=(1.67, 0.0), c=(20.0, 0.0)) == ["b"]
    assert names(a=(0.05, 0.0), b=(-1.0, 0.0)) == ["b"]  # 3 % too short is 3 % too long, the other way round
    assert names(a=(-1.0, 0.0), b=(0.5, 0.0)) == ["b"]
    assert names(a=(0.99, 0.09), b=(1.05, 0.0)) == ["b"]
    assert names(z=(1.0, 0.0), a=(1.0, 0.0)) == ["z", "a"]
    assert names() == []


# Planted for real

HALVED = ("squared_error: halved", 2 / 3)


def looked_up(name, replacement, bridge, methods):
    """What is said of a function with a replacement."""
    [function] = mutants()[name].methods
    usages = [usage.name for usage in USAGES if usage.method == function and usage.applies(known(CASE).case)]
    wrong = planted(methods, replacement(methods, bridge))
    measured = tasks.agree(bridge, wrong, "cpu", [CASE], DTYPE, usages, "")[CASE]
    checks = [(["usage", CASE, DTYPE, usage], compare(raw, usage, CASE, DTYPE)) for usage, raw in measured.items()]
    return measure(bridge, methods, "cpu", function, checks)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fgm: one norm for the whole batch", "entropy: of the wrong sign"])
def test_a_planted_mistake_is_found_by_its_numbers(name, bridge, methods):
    said = looked_up(name, mutants()[name].replace, bridge, methods)
    assert said["known"] > 1 and said["alike"] == {name: [1.0, 0.0]}


@pytest.mark.parametrize(
    ("name", "ratio"), mostly_slow([("fgm: 3 % too long", 5 / 3), ("vat_loss: counted twice", 2), HALVED], [HALVED])
)
def test_one_with_another_constant_is_found_with_its_factor(name, ratio, bridge, methods):
    after = next(after for planted_name, after in VARIANTS if planted_name == name)
    said = looked_up(name, variant(name, after), bridge, methods)
    [(found, (times, _))] = said["alike"].items()
    assert found == name and times == pytest.approx(ratio, rel=0.01)


def test_what_nobody_planted_is_like_nothing(bridge, methods):
    def between(m, bridge):
        return {"entropy": lambda logits: m.entropy(logits) * (1 + 0.1 * m.l2_norm(logits))}

    assert looked_up("entropy: in bits", between, bridge, methods)["alike"] == {}
