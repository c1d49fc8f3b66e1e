"""The judges, on synthetic measurements: a right one is accepted, and each way of being wrong is rejected."""

import numpy as np
import pytest

from equivalence.judge import AGREEMENT_UNITS, EXACT_UNITS, judge, judge_all

STEPS = 2.0 ** -np.arange(12)
NOISE = 1e-9
UNIT = 2.0**-53


def order(exponent=2.0, coefficient=3.0, expected_coefficient=3.0, steps=STEPS):
    """Residuals coefficient·εᵖ(1 + ε/10) over noise, and their Richardson-extrapolated coefficients."""
    norms = coefficient * steps**exponent * (1 + 0.1 * steps) + NOISE
    ratios = norms / steps**2 / expected_coefficient
    return {
        "kind": "order",
        "order": 2,
        "steps": steps.tolist(),
        "norms": norms.tolist(),
        "tail": [NOISE, NOISE / 2],
        "coefficient_errors": np.abs(2 * ratios[1:] - ratios[:-1] - 1).tolist(),
    }


def exact(units=1.0):
    return {"kind": "exact", "difference": [0.0, -units * UNIT * 2], "rounding unit": UNIT, "scale": 2.0}


def unbiased(mean=1.0, variance=0.5):
    """Two samples, eight estimates; what theory says is mean 1 and variance ½."""
    return {
        "kind": "unbiased",
        "probes": 8,
        "largest": 2.0,
        "means": [mean, 1.0],
        "variances": [variance, 0.5],
        "mean": [1.0, 1.0],
        "variance": [0.5, 0.5],
        "rounding unit": UNIT,
    }


def eigen(rate=0.5, predicted_rate=0.5, eigenvalue=4.0, residual=0.0):
    powers = np.arange(41)[:, None]
    return {
        "kind": "eigen",
        "tangents": np.maximum(np.full(2, rate) ** powers, 1e-16).tolist(),
        "predicted": (np.full(2, predicted_rate) ** powers).tolist(),
        "floor": 1e-7,
        "eigenvalues": [eigenvalue, -2.0],
        "expected": [4.0, -2.0],
        "residuals": [residual, 0.0],
    }


def bound(smallest=0.0):
    return {"kind": "bound", "values": [1.0, smallest], "lower": 0.0}


def agreement(value=1.0, gradient=1.0, worst=1.0):
    return {
        "kind": "agreement",
        "value": [value],
        "gradient": [gradient, -0.5],
        "worst gradient": worst,
        "condition": [1.0, 2.0],
        "rounding unit": UNIT,
    }


def sampler(statistic=0.01, wrong=0.1, draws=10_000):
    return {"kind": "sampler", "statistics": [statistic, 0.001], "wrong": [wrong], "draws": draws}


def differs(difference=0.5, predicted=0.5, scale=2.0):
    return {
        "kind": "differs",
        "difference": [difference, 0.0],
        "predicted": [predicted, 0.0],
        "scale": scale,
        "rounding unit": UNIT,
    }


RIGHT = {
    "order": order,
    "exact": exact,
    "unbiased": unbiased,
    "sampler": sampler,
    "differs": differs,
    "eigen": eigen,
    "bound": bound,
    "agreement": agreement,
}
WRONG = {
    "slope half an order off": order(exponent=1.5),
    "slope half an order too steep": order(exponent=2.5),
    "slope off by 0.2": order(exponent=2.2),
    "order off by one": order(exponent=1.0),
    "coefficient off by 3 %": order(coefficient=3.09),
    "too few points": order(steps=STEPS[:4]),
    "only noise": order(coefficient=0.0),
    "exact by 100 units": exact(units=100.0),
    "exact with scale 0": exact() | {"scale": 0.0},
    "wrong mean": unbiased(mean=1.01),
    "mean off by a millionth": unbiased(mean=1.000001),
    "variance off by 5 %": unbiased(variance=0.525),
    "variance 5 % too small": unbiased(variance=0.475),
    "another distribution": sampler(statistic=0.05),
    "too few draws to see the wrong sampler": sampler(draws=1000),
    "no difference at all": differs(difference=0.0),
    "a difference 3 % off": differs(difference=0.515),
    "a difference of the other sign": differs(difference=-0.5),
    "a predicted difference that rounding hides": differs(difference=1e-14, predicted=1e-14),
    "probes that never vary": unbiased(variance=0.0) | {"variances": [0.0, 0.0], "variance": [0.0, 0.0]},
    "a rate 10 % off": eigen(rate=0.55),
    "no step shows a rate": eigen(rate=0.0, predicted_rate=0.0),
    "wrong eigenvalue": eigen(eigenvalue=4.1),
    "eigenvalue without its sign": eigen(eigenvalue=-4.0),
    "not an eigenvector": eigen(residual=0.01),
    "below the bound": bound(smallest=-1e-9),
    "a bound that is never nearly reached": bound(smallest=0.9) | {"tightest": 0.5},
    "value disagrees": agreement(value=-2.0 * AGREEMENT_UNITS),
    "gradient disagrees": agreement(gradient=2.0 * AGREEMENT_UNITS),
    "a gradient that is not stored disagrees": agreement(worst=2.0 * AGREEMENT_UNITS),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_right_measurement_holds(kind):
    verdict = judge(RIGHT[kind]())
    assert verdict.holds, verdict.reason
    assert verdict.judged
    assert 0 <= verdict.detects < 0.1  # so small an error would have been seen
    assert all(np.isfinite(number) for number in verdict.numbers.values())


@pytest.mark.parametrize("measurement", WRONG.values(), ids=WRONG)
def test_wrong_measurement_is_rejected(measurement):
    verdict = judge(measurement)
    assert not verdict.holds
    assert verdict.reason
    assert "cannot be judged" not in verdict.reason  # it was judged, and found wrong


KEYS = [(kind, key) for kind in RIGHT for key in RIGHT[kind]() if key != "kind"]
DAMAGES = {
    "nan": lambda value: np.full(np.shape(value), np.nan).tolist(),
    "empty": lambda value: [],
    "text": lambda value: "abc",
    "none": lambda value: None,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(("kind", "key"), KEYS)
def test_damaged_measurement_is_rejected(kind, key, damage):
    measurement = RIGHT[kind]()
    verdict = judge(measurement | {key: DAMAGES[damage](measurement[key])})
    assert not verdict.holds
    assert not verdict.judged
    assert verdict.reason


@pytest.mark.parametrize(("kind", "key"), KEYS)
def test_missing_key_is_named(kind, key):
    measurement = RIGHT[kind]()
    del measurement[key]
    verdict = judge(measurement)
    assert not verdict.holds
    assert key in verdict.reason


@pytest.mark.parametrize("measurement", [{"kind": "guess"}, {}, {"kind": None}])
def test_unknown_kind_is_rejected(measurement):
    verdict = judge(measurement)
    assert not verdict.holds
    assert "unknown kind" in verdict.reason


def test_limits_are_inclusive():
    assert judge(exact(units=EXACT_UNITS)).holds
    assert judge(agreement(value=AGREEMENT_UNITS)).holds
    assert judge(bound(smallest=0.0)).holds
    assert judge(bound(smallest=-1e-9) | {"slack": 1e-9}).holds


def test_every_part_must_hold():
    parts = {"good": exact(), "bad": exact(units=100.0)}
    verdict = judge_all(parts)
    assert not verdict.holds
    assert verdict.reason.startswith("bad: ")
    assert verdict.numbers == {"good: units": 1.0, "bad: units": 100.0}
    assert judge_all({"good": exact()}).holds


def test_nothing_measured_is_not_a_pass():
    assert not judge_all({}).holds
