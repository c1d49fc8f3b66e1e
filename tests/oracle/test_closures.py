"""Losses as functions of inputs and of parameters reach every number that they depend on."""

import numpy as np
import pytest

from equivalence import oracle
from equivalence.oracle import pullbacks, values
from tests.oracle.exact import (
    CLOSURES,
    close,
    cross_entropy,
    gradients,
    log_p,
    of_params,
    squared,
    wrong_blocks,
    wrong_params,
)
from tests.oracle.forward import MASK, precise, problem


@pytest.mark.parametrize(("name", "loss"), [("quadratic", "value"), ("linear", "value"), ("mlp", "squared_error")])
def test_loss_closures(name, loss):
    p = problem(name)
    targets, c = np.ones((2, p.classes)), np.array([0.7, -1.3])
    closure = oracle.Loss(p.f, loss, targets)
    exact = lambda out: out[:, 0] if loss == "value" else squared(out, targets)  # noqa: E731
    assert close(closure(p.x), exact(p.forward(precise(p.params), precise(p.x))), 1e-14)
    total = lambda *point: (c * exact(p.forward(*point))).sum()  # noqa: E731
    assert wrong_blocks(closure.vjp(p.x, c), total, p.params, p.x) == []


def test_unknown_loss_is_refused():
    with pytest.raises(ValueError, match="loss_name: got 'hinge'"):
        oracle.Loss(problem("mlp").f, "hinge", np.zeros(2))


def test_log_softmax_closure():
    p = problem("mlp")
    c = np.random.default_rng(7).standard_normal((2, 3))
    closure = oracle.LogSoftmax(p.f)
    assert close(closure(p.x), log_p(p.forward(precise(p.params), precise(p.x))), 1e-14)
    total = lambda *point: (c * log_p(p.forward(*point))).sum()  # noqa: E731
    assert wrong_blocks(closure.vjp(p.x, c), total, p.params, p.x) == []


def test_coordinates_reach_the_embedding_behind_x():
    p, rng = problem("text"), np.random.default_rng(8)
    tokens = np.array([[0, 2, 1, 2, 2], [3, 0, 3, 1, 1]])
    params = {"embedding.weight": rng.standard_normal((4, 2)), **p.params}
    directions, c = rng.standard_normal((3, 5, 2)), rng.standard_normal((2, 3))
    loss = oracle.Loss(oracle.Model("text", params, MASK), "cross_entropy", p.labels)
    behind = lambda x_bar: {"embedding.weight": oracle.embed_vjp(params["embedding.weight"], tokens, x_bar)}  # noqa: E731
    closure = oracle.Coordinates(loss, directions, oracle.embed(params["embedding.weight"], tokens), behind)

    def exact(params, c):
        x = params["embedding.weight"][tokens] + np.tensordot(c, precise(directions), 1)
        return cross_entropy(p.forward(params, x), np.eye(2)[p.labels])

    assert close(closure(c), exact(precise(params), precise(c)), 1e-14)
    weights = np.array([0.5, -2.0])
    total = lambda *point: (weights * exact(*point)).sum()  # noqa: E731
    assert wrong_blocks(closure.vjp(c, weights), total, params, c) == []
    np.testing.assert_array_equal(closure.grad(c), closure.vjp(c, np.ones(2))[0])
    penalty = lambda *point: (weights * (gradients(lambda c: exact(point[0], c), point[1]) ** 2).sum(1)).sum()  # noqa: E731
    assert wrong_blocks(pullbacks.input_gradient_penalty(closure, c)(weights), penalty, params, c) == []


def test_coordinates_add_what_both_sides_say_about_a_parameter():
    p = problem("mlp")
    twice = oracle.Coordinates(p.f, p.x, p.x, lambda x_bar: {"0.bias": np.ones(4)})
    once = oracle.Coordinates(p.f, p.x, p.x)
    c, ones = np.zeros((2, 2)), np.ones((2, 3))
    np.testing.assert_array_equal(twice.vjp(c, ones)[1]["0.bias"], once.vjp(c, ones)[1]["0.bias"] + 1)


@pytest.mark.parametrize(("name", "loss"), CLOSURES)
def test_losses_of_parameters(name, loss):
    closure, params, exact = of_params(name, loss)
    c = np.array([0.7, -1.3])
    assert close(closure(params), exact(precise(params)), 1e-14)
    assert wrong_params(closure.vjp(params, c), lambda params: (c * exact(params)).sum(), params) == []


@pytest.mark.parametrize(("name", "loss"), CLOSURES)
def test_losses_of_parameters_are_analytic(name, loss):
    """Cauchy–Riemann, as for the models in x."""
    closure, params, _ = of_params(name, loss)
    rng, h, c = np.random.default_rng(3), 1e-7, np.array([0.7, -1.3])
    z = {key: value + 0.1j * rng.standard_normal(value.shape) for key, value in params.items()}
    v = {key: rng.standard_normal(value.shape) for key, value in params.items()}
    moved = lambda step: {key: z[key] + step * v[key] for key in z}  # noqa: E731
    for function in (lambda params: {"": closure(params)}, lambda params: closure.vjp(params, c)):
        (ahead, behind), (left, right) = ((function(moved(h * d)), function(moved(-h * d))) for d in (1, 1j))
        for key in ahead:
            np.testing.assert_allclose(left[key] - right[key], 1j * (ahead[key] - behind[key]), rtol=0, atol=1e-14)


def test_losses_of_parameters_take_x_or_tokens_and_wrap_the_model():
    p = problem("mlp")
    with pytest.raises(ValueError, match="x, tokens: expected one of the two"):
        oracle.OfParams("mlp", "cross_entropy", p.labels)
    with pytest.raises(ValueError, match="x, tokens: expected one of the two"):
        oracle.OfParams("mlp", "cross_entropy", p.labels, p.x, p.labels)
    wrapped = oracle.OfParams("mlp", "cross_entropy", p.labels, p.x, wrap=lambda f: lambda x: 2 * f(x))
    np.testing.assert_array_equal(wrapped(p.params), values.cross_entropy(2 * p.f(p.x), p.labels))
