"""Spectral norms and Lipschitz bounds of the oracle."""

import numpy as np
import pytest

from equivalence.oracle import pullbacks, values
from tests.oracle.exact import HALF, close, lengths, wrong_blocks, wrong_params
from tests.oracle.forward import precise


def layers():
    rng = np.random.default_rng(22)
    shapes = ((4, 3), (2, 4, 3, 3), (5, 2, 2))
    return [rng.standard_normal(shape) for shape in shapes], [rng.standard_normal(shape[0]) for shape in shapes]


def iterated(weight, u, steps):
    """u and v with 50 digits."""
    matrix, u = precise(weight).reshape(len(weight), -1), precise(u)
    for _ in range(steps):
        v = matrix.T @ u / lengths(matrix.T @ u)
        u = matrix @ v / lengths(matrix @ v)
    return u, v


@pytest.mark.parametrize("steps", [1, 3])
def test_spectral_norm_and_its_gradient(steps):
    for weight, start in zip(*layers(), strict=True):
        u, v = iterated(weight, start, steps)
        form = lambda weight, u=u, v=v: u @ weight.reshape(len(u), -1) @ v  # noqa: E731
        sigma, ours = values.spectral_norm(weight, start, steps=steps)
        assert close(sigma, form(precise(weight))) and close(ours, u)
        pulled, fixed = pullbacks.spectral_norm(weight, start, steps=steps)
        assert wrong_blocks((pulled(-1.3), {}), lambda _, weight, form=form: -1.3 * form(weight), {}, weight) == []
        assert fixed(ours).shape == weight.shape and (fixed(ours) == 0).all()


def test_spectral_norm_converges_to_the_largest_singular_value_and_its_gradient():
    for weight, start in zip(*layers(), strict=True):
        u, sizes, v = np.linalg.svd(weight.reshape(len(weight), -1), full_matrices=False)
        sigma, _ = values.spectral_norm(weight, start, steps=500)
        np.testing.assert_allclose(sigma, sizes[0], rtol=1e-14)
        bar = pullbacks.spectral_norm(weight, start, steps=500)[0](1.0)
        np.testing.assert_allclose(bar, np.outer(u[:, 0], v[0]).reshape(weight.shape), rtol=0, atol=1e-13)


def test_spectral_norm_of_a_weight_that_is_0():
    sigma, u = values.spectral_norm(np.zeros((2, 3)), np.ones(2))
    assert sigma == 0 and (u == 0).all()
    assert (pullbacks.spectral_norm(np.zeros((2, 3)), np.ones(2))[0](1.0) == 0).all()


def test_lipschitz_bound_and_its_gradient():
    weights, us = layers()
    vectors = [iterated(weight, u, 2) for weight, u in zip(weights, us, strict=True)]
    reads = [1, 9, 2]

    def exact(weights):
        forms = [u @ weights[str(i)].reshape(len(u), -1) @ v for i, (u, v) in enumerate(vectors)]
        return np.prod(forms) * np.prod(precise(reads)) ** HALF

    named = {str(i): weight for i, weight in enumerate(weights)}
    assert close(values.lipschitz_bound(weights, us, steps=2), exact(precise(named)))
    bars = pullbacks.lipschitz_bound(weights, us, steps=2)(-1.3)
    assert wrong_params({str(i): bar for i, bar in enumerate(bars)}, lambda named: -1.3 * exact(named), named) == []
    weights[0] = 0 * weights[0]  # one norm of 0 makes the others' gradients 0, not 0/0
    assert all((bar == 0).all() for bar in pullbacks.lipschitz_bound(weights, us)(1.0))


def test_lipschitz_bound_is_reached_by_a_circular_convolution():
    """Of stride 1 with equal weights it multiplies the constant signal by their sum."""
    kernel = np.ones((1, 1, 3))
    circulant = sum(np.roll(np.eye(8), shift, axis=0) for shift in range(3))
    bound = values.lipschitz_bound([kernel], [np.ones(1)])
    np.testing.assert_allclose(bound, np.linalg.norm(circulant, 2), rtol=1e-14)
