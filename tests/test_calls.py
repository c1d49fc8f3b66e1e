"""The battery of calls: complete, and able to reject what is wrong in a value or in any one gradient."""

import copy
import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from equivalence import oracle
from equivalence.calls import STANDING, called, calls
from equivalence.calls.call import FIXED, directions, expected, weights
from equivalence.calls.measure import compare, expectations, in_setting, judged, run_one
from equivalence.calls.scalars import ONE
from equivalence.calls.settings import PRECISION, dtype_in
from equivalence.cases import build
from equivalence.foreign.loading import stubs
from equivalence.judge import AGREEMENT_UNITS, judge
from equivalence.parts.composed import each, summed
from equivalence.reference import Reference

SAMPLERS = {"rademacher", "gaussian", "uniform", "uniform_sphere", "uniform_ball", "dropout_mask"}
SOME = ("fgm: l2, vectors", "jacobian_penalty: weights, probes, matrices", "freelb_loss: l2, 2 steps, matrices")


def right(name):
    """What a right implementation would hand on for a call: the oracle's own numbers, unprojected where they are."""
    call = calls()[name]
    parts = expected(call, Reference(build([call.case])[call.case]))
    return [{"value": part.value, "gradients": dict(part.gradients)} for part in parts]


def measured(name, found):
    """The measurement of raw numbers, with the arguments left out whose gradients are differences."""
    parts, scales = expectations(name)
    kept = [
        dataclasses.replace(
            part, gradients={key: g for key, g in part.gradients.items() if key not in part.errors}, errors={}
        )
        for part in parts
    ]
    return compare(found, kept, scales, "float64")


def test_every_function_that_gives_numbers_is_called_in_every_setting():
    assert {call.method for call in calls().values()} == set(stubs()) - SAMPLERS
    for method in {call.method for call in calls().values()} - {"smooth_labels"}:
        assert called(method, "traced"), f"{method} is not called on {' or '.join(STANDING)}"


@pytest.mark.parametrize("name", ["lanczos, 3 steps, slow", "power, 3 steps, slow"])
def test_an_eigenvector_may_have_either_sign_and_no_other_length(name):
    call = calls()[f"top_eigenpair: {name}"]
    point = Reference(build([call.case])[call.case]).point
    exact = call.results(oracle.values, point)[1]

    def times(factor):
        def top_eigenpair(*given, **options):
            value, vector = oracle.values.top_eigenpair(*given, **options)
            return value, factor * vector

        return call.results(SimpleNamespace(top_eigenpair=top_eigenpair), point)[1]

    assert (times(-1) == exact).all()
    assert np.abs(times(1.01) - exact).max() > 1e-3


def test_the_gradient_in_a_number_is_expected():
    """Of numbers times one, in the one: a penalty that is proportional to its rate grows with it by itself."""
    name = "parameter_gradient_penalty: vectors"
    (part,), _ = expectations(name)
    slope = weights(()) * part.value * directions(())
    assert np.allclose(part.gradients[ONE], slope, rtol=1e-9)
    for error in (0.0, 1.0):
        found = [{"value": part.value, "gradients": {ONE: weights(()) * part.value + error}}]
        kept = dataclasses.replace(part, gradients={ONE: part.gradients[ONE]})
        assert judge(compare(found, [kept], expectations(name)[1], "float64")).holds == (error == 0)


def test_weights_are_divided_out_exactly():
    assert set(np.abs(weights((40, 3))).ravel()) <= {0.5, 1.0, 2.0}


@pytest.mark.parametrize("name", SOME)
def test_the_oracles_own_numbers_hold(name):
    assert judge(measured(name, right(name))).holds


@pytest.mark.parametrize("name", SOME)
def test_a_value_that_is_off_is_rejected(name):
    found = right(name)
    found[0]["value"] = found[0]["value"] * (1 + 1e-9)
    assert not judge(measured(name, found)).holds


@pytest.mark.parametrize("name", SOME)
def test_a_gradient_that_is_off_in_one_argument_is_rejected(name):
    for part, result in enumerate(right(name)):
        for argument in result["gradients"]:
            found = copy.deepcopy(right(name))
            gradient = np.array(found[part]["gradients"][argument])
            gradient.flat[-1] += 1e-3
            found[part]["gradients"][argument] = gradient
            if argument not in expectations(name)[0][part].errors:
                assert not judge(measured(name, found)).holds, argument


def test_a_perturbation_is_held_fixed_in_every_argument():
    call = calls()["pgd: l2, 2 steps, matrices"]
    assert call.pulls == (FIXED,)
    parts, _ = expectations(call.name)
    assert {"x", "start"} <= parts[0].gradients.keys()
    assert not any(gradient.any() for gradient in parts[0].gradients.values())


def test_differences_are_as_good_as_their_error_says():
    """The derivative of a mean of products is known: that of the penalty in its weights, which it is linear in."""
    parts, _ = expectations("jacobian_penalty: weights, matrices")
    assert parts[0].errors["class_weights"] < 1e-12 * np.abs(parts[0].gradients["class_weights"]).max()


def test_an_exception_and_numbers_of_another_shape_are_said():
    assert judged({"error": "fgm raised"}, expectations("fgm: l2, vectors"), "float64") == {"error": "fgm raised"}
    found = [{"value": [0.0], "gradients": {}}]
    assert "error" in judged(found, expectations("fgm: l2, vectors"), "float64")


def test_units_of_agreement_are_the_judges():
    found = right("fgm: l2, vectors")
    units = measured("fgm: l2, vectors", found)
    assert max(map(abs, units["value"])) <= AGREEMENT_UNITS


class Plain:
    """Norms as most people write them: the root of the sum of squares, with nothing divided out first."""

    @staticmethod
    def l2_norm(x):
        return summed(x * x) ** 0.5

    @staticmethod
    def unit(x, *, scope="sample"):
        return x / each(Plain.l2_norm(x), x)

    @staticmethod
    def project(x, *, radius, norm="l2"):
        factor = radius / Plain.l2_norm(x)
        return x * each((factor + 1 - abs(factor - 1)) / 2, x)


@pytest.mark.parametrize("setting", ["", PRECISION])
@pytest.mark.parametrize("method", ["l2_norm", "unit", "project"])
def test_a_plain_norm_is_right_of_numbers_of_any_size_that_is_called(bridge, method, setting):
    """Whose squares are no numbers in float32 the contract's claim C6 asks for, and no call does."""
    methods = SimpleNamespace(**{method: getattr(Plain, method)})
    names = [call.name for call in called(method, setting) if "numbers of" in call.name and "l1" not in call.name]
    assert len(names) == 2
    for name in names:
        found = run_one(bridge, methods, "cpu", "float64", in_setting(name, setting))
        assert judge(judged(found, expectations(name), dtype_in(setting, "float64"))).holds, name


def test_in_transposed_memory_no_two_axes_can_be_joined(bridge, framework):
    if framework != "torch":
        pytest.skip("of strides, which PyTorch's arrays have")
    array = bridge.from_numpy(np.arange(24.0).reshape(2, 3, 4))
    found = bridge.transposed(array)
    assert (found == array).all()
    for shape in ((2, -1), (-1, 4)):
        with pytest.raises(RuntimeError, match="view"):
            found.view(shape)
