"""Derivatives by complex steps and Cauchy circles are exact, or refused."""

import numpy as np
import pytest

from equivalence import oracle
from equivalence.oracle import derivative, values
from tests.oracle.forward import problem


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_derivative_of_known_functions(order):
    known = {
        "exp sin": (lambda t: np.exp(np.sin(t)), [1, 1, 0, -3]),
        "even": (lambda t: np.cos(2 * t), [0, -4, 0, 16]),
        "pole at 1/3": (lambda t: 1 / (1 - 3 * t), [3, 18, 162, 1944]),
    }
    for name, (function, derivatives) in known.items():
        assert derivative(function, order) == pytest.approx(derivatives[order - 1], rel=1e-11, abs=1e-11), name


def test_derivative_keeps_the_form_of_trees():
    found = derivative(lambda t: (np.array([t, 2 * t * t]), {"a": np.exp(t) * np.ones((2, 1))}), order=2)
    np.testing.assert_allclose(found[0], [0, 4], atol=1e-13)
    np.testing.assert_allclose(found[1]["a"], np.ones((2, 1)), rtol=1e-13)


def test_derivative_shrinks_a_circle_that_holds_a_pole():
    function = lambda t: 1 / (0.1 - t)  # noqa: E731
    assert derivative(function, order=2, radius=0.25) == pytest.approx(2000, rel=1e-11)


@pytest.mark.parametrize("jump", [lambda t: np.sign(np.real(t)), lambda t: 1 / t])
def test_derivative_refuses_what_is_not_analytic(jump):
    with pytest.raises(ArithmeticError, match="not analytic"):
        derivative(lambda t: jump(t) * np.exp(t), order=2)


def test_derivative_bears_noise():
    """Of a function known to 1e-6 the second derivative is known to 2/radius² of that, and no circle is refused."""
    rng = np.random.default_rng(13)
    assert derivative(lambda t: np.exp(t) + 1e-6 * rng.standard_normal(), order=2) == pytest.approx(1, abs=1e-4)


def test_derivative_refuses_more_orders_than_points_can_tell_apart():
    with pytest.raises(ValueError, match="order: got 28"):
        derivative(np.exp, order=28)


def test_derivatives_do_not_nest():
    p = problem("mlp")
    loss = oracle.Loss(p.f, "cross_entropy", p.labels)
    with pytest.raises(TypeError, match="do not nest"):
        derivative(lambda t: values.hvp(loss, p.x + t, p.x))
