"""Penalties, flooding and noise on parameters in the oracle."""

import numpy as np
import pytest

from equivalence import oracle
from equivalence.oracle import derivative, pullbacks, values
from tests.oracle.exact import bent, close, cross_entropy, of_params, sloped, wrong_params
from tests.oracle.forward import precise, problem


def test_penalty_on_the_parameters_gradient_and_its_gradient():
    p = problem("mlp")
    closure = oracle.OfParams("mlp", "cross_entropy", p.labels, p.x)

    def exact(params):
        total, x = 0, precise(p.x)
        for name, block in params.items():
            for unit in np.eye(block.size, dtype=int):
                of = lambda moved, name=name: p.forward(params | {name: moved}, x)  # noqa: E731
                mean = lambda moved, of=of: cross_entropy(of(moved), np.eye(3)[p.labels]).sum() / 2  # noqa: E731
                total += sloped(mean, block, unit.reshape(block.shape)) ** 2
        return 0.3 * total / 4

    assert close(values.parameter_gradient_penalty(closure, p.params, rate=0.3), exact(precise(p.params)))
    bar = pullbacks.parameter_gradient_penalty(closure, p.params, rate=0.3)(-1.3)
    assert wrong_params(bar, lambda params: -1.3 * exact(params), p.params) == []
    with pytest.raises(TypeError, match="do not nest"):
        pullbacks.parameter_gradient_penalty(closure, p.params | {"0.bias": 1j * p.params["0.bias"]}, rate=0.3)


def test_penalty_on_the_parameters_gradient_reaches_the_table():
    """Its gradient along a direction c is ½·rate·cᵀHg, from second differences."""
    closure, params, exact = of_params("text tokens", "cross_entropy")
    gradient = closure.vjp(params, np.full(2, 0.5))
    bar = pullbacks.parameter_gradient_penalty(closure, params, rate=0.3)(1.0)
    assert close(
        values.parameter_gradient_penalty(closure, params, rate=0.3),
        0.3 / 4 * sum((part**2).sum() for part in precise(gradient).values()),
        1e-14,
    )
    for name in params:
        c = np.random.default_rng(23).choice([-1.0, 1.0], params[name].shape)

        def mean(t, c=c, name=name):
            return (
                exact(
                    {k: precise(a) + t[0] * gradient[k] + (t[1] * c if k == name else 0) for k, a in params.items()}
                ).sum()
                / 2
            )

        zero = precise(np.zeros(2))
        mixed = (bent(mean, zero, np.array([1, 1])) - bent(mean, zero, np.array([1, -1]))) / 4
        np.testing.assert_allclose((bar[name] * c).sum(), float(0.3 / 2 * mixed), rtol=1e-11, err_msg=name)


def test_flooding_and_its_gradient():
    loss = np.array([[2.0, 0.25], [0.5, -1]])
    np.testing.assert_array_equal(values.flooding(loss, level=0.5), [[2, 0.75], [0.5, 2]])
    np.testing.assert_array_equal(pullbacks.flooding(loss, level=0.5)(2 * loss), [[4, -0.5], [0, 2]])
    np.testing.assert_array_equal(derivative(lambda t: values.flooding(loss + t, level=0.5)), [[1, -1], [0, -1]])


@pytest.mark.parametrize("name", ["mlp", "text tokens"])
def test_noise_on_the_parameters_and_its_gradient(name):
    closure, params, exact = of_params(name, "cross_entropy")
    rng, c = np.random.default_rng(24), np.array([0.7, -1.3])
    noise = {key: 0.3 * rng.standard_normal((3, *params[key].shape)) for key in reversed(params)}  # order is no matter
    mean = lambda params: sum(exact({key: params[key] + noise[key][k] for key in params}) for k in range(3)) / 3  # noqa: E731
    assert close(values.weight_noise(closure, params, noise), mean(precise(params)))
    bar = pullbacks.weight_noise(closure, params, noise)(c)
    assert wrong_params(bar, lambda params: (c * mean(params)).sum(), params) == []
