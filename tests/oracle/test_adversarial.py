"""The fast gradient method and projected ascent of the oracle."""

import numpy as np
import pytest

from equivalence import oracle
from equivalence.oracle import pullbacks, values
from tests.oracle.exact import SIZES, close, cross_entropy, gradients, nearest, pointed, wrong_blocks
from tests.oracle.forward import precise, problem


@pytest.mark.parametrize("norm", ["l2", "linf", "l1", "raw"])
@pytest.mark.parametrize("scope", ["sample", "tensor"])
def test_fast_gradient_method(norm, scope):
    p = problem("mlp")
    g = gradients(lambda x: cross_entropy(p.forward(precise(p.params), x), np.eye(3)[p.labels]), precise(p.x))
    exact = pointed(g if scope == "sample" else g.reshape(1, -1), norm).reshape(g.shape)
    loss = oracle.Loss(p.f, "cross_entropy", p.labels)
    assert close(values.fgm(loss, p.x, radius=0.5, norm=norm, scope=scope), exact / 2)


def ascent(p, start, radius, step, steps, norm, bounds=None):
    """r₀, …, r_K with 50 digits, of the cross-entropy."""
    params, x = precise(p.params), precise(p.x)
    losses = lambda x: cross_entropy(p.forward(params, x), np.eye(3)[p.labels])  # noqa: E731

    def inside(r):
        r = nearest(r, radius, norm)
        return r if bounds is None else np.clip(x + r, *bounds) - x

    points = [inside(precise(start))]
    for _ in range(steps):
        points.append(inside(points[-1] + step * pointed(gradients(losses, x + points[-1]), norm)))
    return points


def boxed():
    """The network with inputs in a box that the perturbations reach."""
    p = problem("mlp")
    p.x = np.array([[0.05, 0.5, 0.9], [1.0, 0.3, 0.0]])
    return p, oracle.Loss(p.f, "cross_entropy", p.labels), np.array([[0.2, -0.1, 0.3], [-0.3, 0.2, 0.1]])


@pytest.mark.parametrize("norm", SIZES)
@pytest.mark.parametrize("bounds", [None, (0, 1)])
@pytest.mark.parametrize("size", [0.1, 3.0])  # of the start: within the ball, and outside
def test_projected_gradient_ascent(norm, bounds, size):
    p, loss, start = boxed()
    options = {"radius": 0.35, "step": 0.2, "norm": norm, "bounds": bounds}
    for steps, exact in enumerate(ascent(p, size * start, steps=4, **options)[1:], start=1):
        r = values.pgd(loss, p.x, size * start, steps=steps, **options)
        assert close(r, exact)
        assert (SIZES[norm](r) <= 0.35 + 1e-15).all()
        assert bounds is None or ((p.x + r >= 0) & (p.x + r <= 1)).all()


@pytest.mark.parametrize("norm", SIZES)
def test_one_step_of_projected_ascent_is_the_fast_gradient_method(norm):
    p, loss, start = boxed()
    one = values.pgd(loss, p.x, 0 * start, radius=0.3, step=0.3, steps=1, norm=norm)
    np.testing.assert_allclose(one, values.fgm(loss, p.x, radius=0.3, norm=norm), rtol=1e-15)


@pytest.mark.parametrize("norm", SIZES)
@pytest.mark.parametrize("size", [0.1, 3.0])
def test_loss_along_an_ascent(norm, size):
    p, loss, start = boxed()
    options, c = {"radius": 0.35, "step": 0.2, "steps": 3, "norm": norm}, np.array([0.7, -1.3])
    *points, last = ascent(p, size * start, **options)

    def exact(params, x):
        return sum(cross_entropy(p.forward(params, x + r), np.eye(3)[p.labels]) for r in points) / 3

    found, perturbation = values.freelb_loss(loss, p.x, size * start, **options)
    assert close(found, exact(precise(p.params), precise(p.x))) and close(perturbation, last)
    pullback = pullbacks.freelb_loss(loss, p.x, size * start, **options)[0]
    assert wrong_blocks(pullback(c), lambda *point: (c * exact(*point)).sum(), p.params, p.x) == []
