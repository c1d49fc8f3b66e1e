"""The noises that claims sum over have the moments that the theory asks for, and the leading terms that it gives."""

import math

import numpy as np
import pytest

from equivalence import oracle
from equivalence.parts.noise import Noise, normal, signs, skewed

NOISES = {"signs": signs(3), "normal": normal(), "skewed": skewed(3)}
each_noise = pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)


def curved(z):
    """No two of its mixed derivatives are alike."""
    slopes = np.random.default_rng(0).standard_normal((2, len(z)))
    return np.exp(slopes @ z)


@each_noise
def test_mean_variance_and_moment(noise: Noise):
    z = noise.vectors
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-15)
    np.testing.assert_allclose(z.T @ z / len(z), np.eye(noise.n), atol=1e-15)
    np.testing.assert_allclose((z**noise.order).mean(0), noise.moment, rtol=1e-14)


@each_noise
def test_leading_term_is_that_of_the_sum_over_every_vector(noise: Noise):
    def expectation(t):
        return np.mean([curved(t * z) for z in noise.vectors], 0)

    exact = oracle.derivative(expectation, order=noise.order) / math.factorial(noise.order)
    np.testing.assert_allclose(noise.leading(curved), exact, rtol=1e-8)  # 4th derivatives keep half the digits
    assert abs(exact).min() > 1e-3


def test_a_normal_leaves_an_eighth_of_the_squared_laplacian():
    squares = np.array([3.0, 1.0, 2.0, 0.5])
    found = normal().leading(lambda z: np.exp(squares**0.5 @ z)[None])
    np.testing.assert_allclose(found, squares.sum() ** 2 / 8, rtol=1e-8)
