"""The oracle's models and their gradients against 50 digits."""

import numpy as np
import pytest

from tests.oracle.exact import close, wrong_blocks
from tests.oracle.forward import FORWARD, precise, problem


@pytest.mark.parametrize("name", FORWARD)
def test_models_and_their_gradients(name):
    p = problem(name)
    c = np.random.default_rng(2).standard_normal((2, p.classes))
    assert close(p.f(p.x), p.forward(precise(p.params), precise(p.x)), 1e-14)
    assert wrong_blocks(p.f.vjp(p.x, c), lambda *point: (c * p.forward(*point)).sum(), p.params, p.x) == []


@pytest.mark.parametrize("name", FORWARD)
def test_models_are_analytic_in_x(name):
    """Cauchy–Riemann: the derivative along i·v is i times that along v, of outputs and of gradients."""
    p = problem(name)
    rng = np.random.default_rng(3)
    z, v, c = p.x + 0.1j * rng.standard_normal(p.x.shape), rng.standard_normal(p.x.shape), np.ones((2, p.classes))
    h = 1e-6
    for function in (p.f, lambda x: p.f.vjp(x, c)[0]):
        along, across = (function(z + h * d) - function(z - h * d) for d in (v, 1j * v))
        np.testing.assert_allclose(across, 1j * along, rtol=0, atol=1e-14)
