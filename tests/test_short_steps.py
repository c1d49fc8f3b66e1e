"""What `check` says of a difference: what its step leaves is no mistake, and a mistake of one percent is."""

from types import SimpleNamespace

import numpy as np
import pytest

from bench.check.derivatives import Derivatives
from bench.check.lines import Line
from equivalence.own_models import Problem

POINTS = np.array([0.3, -0.7, 1.1], np.float32)
# Losses of numbers: by operators alone, so that they are the same in every framework.
LOSSES = {
    "as usual": (lambda params, x: params["a"] * x**3 + params["b"] * x * x, 1.0),
    "bends within the usual step": (lambda params, x: params["a"] * (x / 0.03) ** 5 + params["b"] * x, 0.03),
    "large beside what the penalty changes": (lambda params, x: params["a"] * (300 + x) ** 2 + params["b"] * x, 1.0),
}


def judged(bridge, methods, name):
    losses, size = LOSSES[name]
    params = {key: bridge.from_numpy(np.array([value], np.float32)) for key, value in {"a": 0.8, "b": -0.6}.items()}
    line = Line(bridge, Problem(losses, params, bridge.from_numpy(POINTS * np.float32(size))), "float32")
    return Derivatives(methods, line).row("penalty, finite difference")


def off_by_one_percent(methods, bridge):
    """Methods of which the difference's slope is 1 % too long."""

    def penalty(loss, x, **options):
        found = methods.input_gradient_penalty(loss, x, **options)
        return found + 0.01 * (found - bridge.fixed(found)) if options.get("how") == "finite_difference" else found

    return SimpleNamespace(**vars(methods) | {"input_gradient_penalty": penalty})


@pytest.mark.parametrize("name", LOSSES)
def test_what_a_step_or_rounding_leaves_is_no_mistake(name, bridge, methods):
    assert judged(bridge, methods, name).verdict in ("right", "undecided")


def test_a_step_that_is_too_long_is_told_with_one_that_is_not(bridge, methods):
    row = judged(bridge, methods, "bends within the usual step")
    assert row.off > 1e-3 and "xi=" in row.reason


def test_rounding_that_leaves_nothing_is_told(bridge, methods):
    row = judged(bridge, methods, "large beside what the penalty changes")
    assert row.verdict == "right" or "rounding" in row.reason


@pytest.mark.parametrize("name", [*LOSSES][:2])
def test_one_percent_is_seen(name, bridge, methods):
    assert judged(bridge, off_by_one_percent(methods, bridge), name).verdict == "wrong"
