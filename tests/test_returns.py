"""What a call must return, read off the contract: how many arrays, of which shapes, as far as a framework knows."""

import inspect
import re
from types import SimpleNamespace

import numpy as np
import pytest

from equivalence.foreign.loading import stubs
from equivalence.foreign.returns import Returned, fits, letters, shape_of

B, n, C = 3, 4, 2


@pytest.mark.parametrize("name", stubs())
def test_the_annotation_says_what_the_docstring_says(name):
    """Every shape that stands under "Returns", in its order; an array that is drawn has the argument's shape."""
    stub = stubs()[name]
    returns = inspect.cleandoc(stub.__doc__).partition("Returns:")[2].partition("\n\n")[0]
    written = [shape.replace(",", "") for shape in re.findall(r"\(((?:[A-Z*][A-Za-z*, ]*)?)\)", returns)]
    options = {f"with_{what}": True for what in ("loss", "outputs")}
    stated = list(letters(inspect.signature(stub).return_annotation, options))
    if not written:
        assert stated in (["*shape"], ["*S"])  # "array of `shape`", "of the same shape"
    elif stated[0] == "*shape":
        assert written == ["B *S"]
    else:
        assert sorted(set(written)) == sorted(set(stated)), returns


@pytest.mark.parametrize(
    ("name", "options", "shapes"),
    [
        ("input_gradient_penalty", {}, [(B,)]),
        ("input_gradient_penalty", {"with_loss": True}, [(B,), (B,)]),
        ("jacobian_penalty", {"with_outputs": False}, [(B,)]),
        ("jacobian_penalty", {"with_outputs": True}, [(B,), (B, "C")]),
        (
            "tikhonov_penalty",
            {"divergence": "squared_error", "probes": np.zeros((5, B, C)), "with_outputs": True},
            [(B,), (B, C)],
        ),
        ("laplacian", {"with_loss": True, "probes": np.zeros((2, B, n))}, [(B,), (B,)]),
        ("vat_loss", {"logits": np.zeros((B, C)), "radius": 1.0}, [(B,)]),
        ("consistency_loss", {"outputs": np.zeros((B, C))}, [(B,)]),
        ("freelb_loss", {"radius": 1.0, "step": 0.5, "steps": 2}, [(B,), (B, n)]),
    ],
)
def test_options_decide_what_comes_back(name, options, shapes):
    arrays = {"x": np.zeros((B, n)), "start": np.zeros((B, n)), "noise": np.zeros((2, B, n))}
    assert returned(name, arrays | options).shapes() == shapes


@pytest.mark.parametrize(
    ("name", "given", "shapes"),
    [
        ("spectral_norm", {"weight": np.zeros((5, 3, 3)), "u": np.zeros(5)}, [(), (5,)]),
        ("lipschitz_bound", {"weights": [np.zeros((5, 3))], "us": [np.zeros(5)]}, [()]),
        ("parameter_gradient_penalty", {"params": {"w": np.zeros(2)}, "rate": 0.5}, [()]),
        ("flooding", {"loss": np.zeros(()), "level": 0.5}, [()]),
        ("perturb_table", {"table": np.zeros((7, n)), "radius": 1.0}, [(7, n)]),
        ("smooth_labels", {"labels": np.zeros(B, int), "like": np.zeros((B, C)), "smoothing": 0.1}, [(B, C)]),
        ("uniform_ball", {"seed": 0, "shape": (2, 3), "like": np.zeros(1)}, [(2, 3)]),
        ("rademacher", {"seed": 0, "shape": (), "like": np.zeros(1)}, [()]),
    ],
)
def test_shapes_of_what_is_no_batch(name, given, shapes):
    assert returned(name, given).shapes() == shapes


def test_what_no_argument_has_is_learned_from_the_closure():
    given = {"params": {"w": np.zeros(2)}, "noise": {"w": np.zeros((5, 2))}}
    call = returned("weight_noise", given)
    assert call.shapes() == [("B",)]
    assert call.heard(given["params"]) is given["params"]
    call.heard(call.call.given["loss"])(given["params"])
    assert call.shapes() == [(B,)]


def test_a_closure_that_tells_nothing_new_is_left_as_it_is():
    call = returned("fgm", {"x": np.zeros((B, n)), "radius": 1.0})
    assert call.heard(call.call.given["loss"]) is call.call.given["loss"]


@pytest.mark.parametrize(
    ("shape", "expected", "right"),
    [
        ((3, 4), (3, 4), True),
        ((3, 4), (4, 3), False),
        ((3,), (3, 1), False),
        ((None, 4), (3, 4), True),  # a tf.function's, for a batch of any size
        ((None, 5), (3, 4), False),
        ((None,), (3, 4), False),
        (None, (3, 4), True),
        ((3,), ("B",), True),
        ((3, 4), ("B",), False),
        ((2, 3), ("B", "*S"), True),
    ],
)
def test_a_shape_fits_as_far_as_it_is_known(shape, expected, right):
    assert fits(shape, expected) is right


def test_an_array_of_unknown_rank_has_no_shape():
    class Shapeless:
        def __iter__(self):
            raise ValueError("Cannot iterate over a shape with unknown rank.")

    assert shape_of(SimpleNamespace(shape=Shapeless())) is None
    assert shape_of(SimpleNamespace(shape=(2, None))) == (2, None)


def returned(name, given):
    """Of a call with NumPy's arrays, whose closures return (B,)."""
    signature = inspect.signature(stubs()[name])
    closures = dict.fromkeys(("loss", "f", "divergence"), lambda x: np.zeros(B))
    wanted = {key: value for key, value in (closures | given).items() if key in signature.parameters}
    bound = signature.bind_partial(**wanted)
    bound.apply_defaults()
    bridge = SimpleNamespace(finite=lambda array: bool(np.isfinite(array).all()), span=lambda a: (a.min(), a.max()))
    return Returned(signature, bound.arguments, bridge)
