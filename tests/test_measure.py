"""Measuring and judging together, on functions that are known: the right one holds, a slightly wrong one fails."""

import math

import numpy as np
import pytest

from equivalence.judge import judge
from equivalence.measure import (
    NORMAL,
    SIGNS,
    SKEWED,
    bound,
    differs,
    distance,
    enumerated,
    equal,
    every,
    ladder,
    order,
    sampled,
)

STEPS, TAIL = ladder(1, -14), ladder(-30, -31)
DRAWS = 20_000


def cosine(factor=1.0, power=4.0):
    """cos ε - 1 + ½ε² is ε⁴/24 + …; the factor and the power plant an error in it."""

    def residuals(steps):
        rounding = np.finfo(float).eps * np.sin(1e6 * steps)  # as the subtraction of numbers of size 1 leaves
        return np.stack([factor * (np.cos(steps) - 1 + steps**2 / 2) * steps ** (power - 4) + rounding, 0 * steps], 1)

    return residuals


def measured(residuals, coefficient=1 / 24):
    return judge(order(residuals, STEPS, TAIL, 4, np.array([coefficient, 0.0]), scale=1.0))


def test_an_order_and_its_coefficient_are_found():
    verdict = measured(cosine())
    assert verdict.holds, verdict.reason
    assert verdict.numbers["slope"] == pytest.approx(4, abs=0.02)
    assert verdict.numbers["smallest step"] > TAIL[0]  # the window ends where rounding begins
    assert verdict.numbers["points"] < len(STEPS)


@pytest.mark.parametrize("factor", [1.03, 0.97])
def test_a_coefficient_three_percent_off_is_rejected(factor):
    verdict = measured(cosine(factor))
    assert not verdict.holds
    assert verdict.numbers["coefficient error"] == pytest.approx(0.03, rel=0.1)


@pytest.mark.parametrize("power", [3.5, 4.5])
def test_half_an_order_off_is_rejected_from_both_sides(power):
    assert not measured(cosine(power=power)).holds


def test_what_is_exact_is_not_called_an_order():
    zero = cosine(factor=0.0)
    assert not measured(zero).holds  # of a residual that should be there, nothing is
    exact = order(zero, STEPS, TAIL, 4, np.zeros(2), scale=1.0)
    assert exact["kind"] == "exact"
    assert judge(exact).holds
    assert not judge(order(cosine(1e-6), STEPS, TAIL, 4, np.zeros(2), scale=1.0)).holds


@pytest.mark.parametrize(
    ("nodes", "moments"),
    [(SIGNS, [0, 1, 0, 1]), (NORMAL, [0, 1, 0, 3, 0]), (SKEWED, [0, 1, 0.5**0.5])],
    ids=["signs", "normal", "skewed"],
)
def test_nodes_have_the_moments_they_stand_for(nodes, moments):
    found = [np.mean(np.array(nodes) ** k) for k in range(1, len(moments) + 1)]
    np.testing.assert_allclose(found, moments, atol=1e-15)


@pytest.mark.parametrize(("mean", "variance", "holds"), [(1, 1, True), (1 + 1e-9, 1, False), (1, 1.05, False)])
def test_every_sign_vector_gives_mean_and_variance(mean, variance, holds):
    a = np.random.default_rng(0).standard_normal((4, 4))
    a = a + a.T
    probes = every(SIGNS, 4)
    forms = np.einsum("ki,ij,kj->k", probes, a, probes)[:, None]
    spread = 2 * ((a**2).sum() - (np.diag(a) ** 2).sum())
    verdict = judge(enumerated(forms, np.array([mean * np.trace(a)]), np.array([variance * spread])))
    assert verdict.holds is holds, verdict.reason


def uniform(values):
    return np.clip(values, 0, 1)


def signs(values):
    return 0.5 * (np.asarray(values) >= -1) + 0.5 * (np.asarray(values) >= 1)


@pytest.mark.parametrize(
    ("draw", "distribution", "holds"),
    [
        (lambda rng: rng.uniform(size=DRAWS), uniform, True),
        (lambda rng: rng.uniform(size=DRAWS) ** (1 / 3), uniform, False),
        (lambda rng: 1.05 * rng.uniform(size=DRAWS), uniform, False),
        (lambda rng: np.full(DRAWS, rng.uniform()), uniform, False),
        (lambda rng: rng.choice([-1.0, 1.0], DRAWS), signs, True),
        (lambda rng: rng.standard_normal(DRAWS), signs, False),
        (lambda rng: rng.choice([-1.0, 1.0], DRAWS, p=[0.45, 0.55]), signs, False),
    ],
    ids=["uniform", "radius of a ball", "5 % too wide", "one draw for all", "signs", "normal", "biased signs"],
)
def test_samplers(draw, distribution, holds):
    verdict = judge(sampled([draw(np.random.default_rng(1))], distribution, wrong=0.25))
    assert verdict.holds is holds, verdict.reason


def test_kolmogorov_distance_of_a_few_numbers():
    assert distance(np.array([0.5]), uniform) == 0.5
    assert distance(np.array([0.25, 0.75]), uniform) == 0.25
    assert distance(np.array([-1.0, 1.0]), signs) == 0


def test_a_sampler_s_nan_is_rejected():
    assert not judge(sampled([np.full(DRAWS, np.nan)], uniform, wrong=0.25)).holds


def test_a_difference_is_stored_where_it_is_furthest_off():
    difference = np.full(10_000, 0.5)
    assert judge(differs(difference, np.array(0.5))).holds
    difference[7777] = 0.5001
    assert not judge(differs(difference, np.array(0.5))).holds
    difference[7777] = np.nan
    assert not judge(differs(difference, np.array(0.5))).holds


def test_equality_is_in_units_of_the_dtype():
    third = np.full(3, 1 / 3)
    assert judge(equal(third.astype(np.float32), third, dtype="float32")).holds
    assert not judge(equal(third.astype(np.float32), third)).holds
    assert not judge(equal(third * math.nan, third)).holds


def test_bounds_keep_their_extremes():
    verdict = judge(bound(np.array([3.0, 1.0, 2.0]), 1.0))
    assert verdict.holds and verdict.numbers["smallest"] == 1.0 and verdict.detects == 0
    assert not judge(bound(np.array([3.0, np.nan]), 1.0)).holds
