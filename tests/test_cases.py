"""The cases are what their docstrings say, in either precision, and those of a group can share a compiled program."""

import itertools

import numpy as np
import pytest

from bench.proofs.verify import GROUPS
from equivalence.cases import REGISTRY, build
from equivalence.oracle import values
from equivalence.reference import Reference


def point(name):
    return Reference(REGISTRY[name]()).point


def arrays(case):
    data = {name: getattr(case, name) for name in ("x", "tokens", "mask", "labels", "directions")}
    return {name: array for name, array in data.items() if array is not None} | case.params | case.extra


@pytest.mark.parametrize("name", REGISTRY)
def test_numbers_are_the_same_in_both_precisions(name):
    case = REGISTRY[name]()
    assert case.name == name
    for array in arrays(case).values():
        assert np.isfinite(array).all()
        np.testing.assert_array_equal(array, array.astype(np.float32).astype(array.dtype))


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: f"{group.cases[0]} {group.dtype}")
def test_cases_of_a_group_share_what_a_compiled_program_holds_fixed(group):
    first, *others = build(list(group.cases)).values()
    for case in others:
        assert {name: array.shape for name, array in arrays(case).items()} == {
            name: array.shape for name, array in arrays(first).items()
        }
        assert (case.model, case.loss, case.bounds, case.table) == (first.model, first.loss, first.bounds, first.table)


def test_cubic_is_its_own_taylor_series():
    p = point("cubic")
    for axes in itertools.permutations(range(3)):
        np.testing.assert_array_equal(p.params["T"], p.params["T"].transpose(axes))
    v = p.extra.vector
    third = np.einsum("ijk,bi,bj,bk->b", p.params["T"], v, v, v) / 6
    series = p.loss(p.x) + ((p.loss.grad(p.x) + values.hvp(p.loss, p.x, v) / 2) * v).sum(1) + third
    np.testing.assert_allclose(p.loss(p.x + v), series, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_relu_samples_lie_on_a_kink_of_one_unit(dtype):
    case = REGISTRY["relu-mlp"]()
    x, weight, bias = (a.astype(dtype) for a in (case.x, case.params["0.weight"], case.params["0.bias"]))
    fed = x @ weight.T + bias
    assert (fed[:, 0] == 0).all() and np.abs(fed[:, 1:]).min() > 0.5
    p = point("relu-mlp")
    assert (p.loss.grad(p.x) @ case.params["0.weight"][0] > 0).any()  # some step across the kink along their gradient


def test_tiny_gradients_are_normal_and_their_squares_are_not():
    p, smallest = point("tiny-gradients"), np.finfo(np.float32).smallest_normal
    for array in (p.loss.grad(p.x), values.hessian(p.loss, p.x), values.jacobian(p.f, p.x)):
        assert 1e-31 < np.abs(array).max() < 1e-29
        assert np.abs(array).min() > smallest > (array**2).max()


def test_saturated_samples_are_right_undecided_and_wrong():
    p = point("saturated")
    outputs = np.sort(p.f(p.x), axis=1)
    np.testing.assert_array_equal(outputs[:, -1] - outputs[:, -2] > 54, [True, False, True, True])
    right, undecided, *wrong = p.loss(p.x)
    assert right == 0 and 1 < undecided < 10 and min(wrong) > 54
    assert np.exp(-np.float32(max(wrong))) == 0


def test_one_gradient_of_four_is_exactly_zero():
    p, case = point("zero-gradient"), REGISTRY["zero-gradient"]()
    for gradient in (p.loss.grad(p.x), values.jacobian(p.f, p.x)):
        np.testing.assert_array_equal((gradient == 0).reshape(4, -1).all(1), [False, False, False, True])
    hidden = np.tanh((case.x @ case.params["0.weight"].T + case.params["0.bias"]).astype(np.float32))
    assert (np.abs(hidden[3]) == 1).all() and np.abs(hidden[:3]).max() < 0.99


def test_ill_conditioned_first_layer():
    sizes = np.linalg.svd(REGISTRY["ill-conditioned"]().params["0.weight"])[1]
    np.testing.assert_allclose(sizes[[0, -1]], [1, 1e-4], rtol=1e-3)
