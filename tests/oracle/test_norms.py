"""The oracle's norms, steepest directions and projections, from the smallest to the largest numbers."""

import numpy as np
import pytest

from equivalence.oracle import values
from tests.oracle.exact import SIZES, close, nearest
from tests.oracle.forward import precise


def test_norms_at_any_size():
    x = np.array([[3.0, 4.0], [3e-200, 4e-200], [3e200, 4e200], [0, 0]])
    np.testing.assert_allclose(values.l2_norm(x), [5, 5e-200, 5e200, 0], rtol=1e-15)
    np.testing.assert_allclose(values.unit(x), [[0.6, 0.8]] * 3 + [[0, 0]], rtol=1e-15)
    np.testing.assert_allclose(values.unit(x[:1] * np.ones((2, 1)), scope="tensor"), [[0.6, 0.8]] * 2 / np.sqrt(2))
    assert (values.unit(np.zeros((2, 3)), scope="tensor") == 0).all()


DUAL = {"l2": "l2", "linf": "l1", "l1": "linf"}


@pytest.mark.parametrize("norm", SIZES)
@pytest.mark.parametrize("scope", ["sample", "tensor"])
def test_steepest_direction_reaches_the_dual_norm(norm, scope):
    """No vector of the ball has a larger inner product than the dual norm: one that reaches it is the steepest."""
    x = np.random.default_rng(15).standard_normal((3, 4, 5))
    x[1, 2, 3] = x[1, 0, 0] = 4  # tied for the largest, in its sample and in the tensor
    x[1, 1, 1] = -4
    ours, rows = (
        array.reshape(3 if scope == "sample" else 1, -1) for array in (values.steepest(x, norm=norm, scope=scope), x)
    )
    np.testing.assert_allclose(SIZES[norm](ours), 1, rtol=1e-15)
    np.testing.assert_allclose((ours * rows).sum(1), SIZES[DUAL[norm]](rows), rtol=1e-14)
    assert (values.steepest(0 * x, norm=norm, scope=scope) == 0).all()


def test_steepest_directions_where_they_are_not_unique():
    x = np.array([[3.0, -3, 1], [0, 2, 0]])
    np.testing.assert_array_equal(values.steepest(x, norm="l1"), [[0.5, -0.5, 0], [0, 1, 0]])
    np.testing.assert_array_equal(values.steepest(x, norm="l1", scope="tensor"), [[0.5, -0.5, 0], [0, 0, 0]])
    np.testing.assert_array_equal(values.steepest(x, norm="linf"), [[1, -1, 1], [0, 1, 0]])
    assert values.steepest(x, norm="raw") is x


@pytest.mark.parametrize("norm", SIZES)
@pytest.mark.parametrize("radius", [0.0, 0.7, 3.0])
def test_projection_is_the_nearest_point(norm, radius):
    """The point p of a convex set nearest to x is the one with (x - p)·(y - p) ≤ 0 for every y of the set.

    Over the ball the largest (x - p)·y is radius times the dual norm of x - p.
    """
    x = np.random.default_rng(16).standard_normal((5, 2, 3)) * np.array([0.05, 0.5, 1, 3, 30])[:, None, None]
    x[2, 0] = x[2, 1, 0]  # ties
    p, rows = values.project(x, radius=radius, norm=norm).reshape(5, -1), x.reshape(5, -1)
    assert (SIZES[norm](p) <= radius * (1 + 1e-15)).all()
    left = radius * SIZES[DUAL[norm]](rows - p) - ((rows - p) * p).sum(1)
    assert (left <= 1e-14 * SIZES["l1"](rows)).all()
    inside = SIZES[norm](rows) <= radius
    assert (p[inside] == rows[inside]).all() and inside.any() == (radius > 0) and not inside.all()
    assert close(p, nearest(precise(rows), radius, norm), 1e-15)


def test_projection_at_any_size():
    x = np.array([[3.0, 4.0], [3e-200, 4e-200], [3e200, 4e200], [0, 0]])
    np.testing.assert_allclose(
        values.project(x, radius=1.0), [[0.6, 0.8], [3e-200, 4e-200], [0.6, 0.8], [0, 0]], rtol=1e-15
    )
    np.testing.assert_allclose(values.project(x, radius=1e-200)[:2], [[6e-201, 8e-201]] * 2, rtol=1e-15)
    np.testing.assert_allclose(values.project(x, radius=1.0, norm="l1"), [[0, 1], x[1], [0, 1], [0, 0]], rtol=1e-15)


@pytest.mark.parametrize("norm", SIZES)
def test_projection_refuses_complex_numbers(norm):
    for x, radius in ((np.ones((1, 2)) + 0j, 1.0), (np.ones((1, 2)), 1j)):
        with pytest.raises(TypeError, match="a projection is not analytic"):
            values.project(x, radius=radius, norm=norm)
