"""TensorFlow: a step traced for batches of any size gives what it gives when it is run operation by operation."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from equivalence import cases
from equivalence.parts.watched import DIRECT, SAMPLERS
from equivalence.problem import Problem
from equivalence.usages import USAGES
from tests.quick import mostly_slow

SAMPLES_SECOND = ("noise", "probes", "class_probes", "masks")  # (K, B, ...)
NO_SAMPLES = ("frequencies", "directions")


def penalty(how, norm):
    return lambda m, p: m.input_gradient_penalty(p.loss, p.x, how=how, norm=norm)


CALLS = {usage.name: usage.call for usage in (*DIRECT, *USAGES) if usage.method not in SAMPLERS} | {
    "laplacian exact": lambda m, p: m.laplacian(p.loss, p.x),
    "laplacian forward": lambda m, p: m.laplacian(p.loss, p.x, how="forward", probes=p.extra.probes[:1]),
    "jacobian_penalty weighted": lambda m, p: m.jacobian_penalty(p.f, p.x, weights=p.extra.class_weights),
    "vat_loss differences": lambda m, p: m.vat_loss(
        p.f, p.x, p.extra.start, radius=0.5, how="finite_difference", xi=None
    ),
    "vat_loss exact": lambda m, p: m.vat_loss(p.f, p.x, p.extra.start, radius=0.5, how="exact"),
    "penalty forward over reverse": penalty("forward_over_reverse", "l2"),
    "penalty by differences": penalty("finite_difference", "l1"),
}
OF_TOKENS = {name: call for name, call in CALLS.items() if name.startswith(("fgm", "perturb_", "normalize_"))}


@pytest.fixture(scope="module")
def problem(bridge, methods):
    made = {}

    def named(name):
        if name not in made:
            made[name] = Problem(cases.REGISTRY[name](), bridge, methods, "float64")
        return made[name]

    return named


def unknown(name, array):
    """What an argument of the traced step may be: its samples are not counted."""
    shape = list(array.shape)
    if name not in NO_SAMPLES and not name.startswith(("noise ", "u ")):
        shape[name in SAMPLES_SECOND] = None
    return tf.TensorSpec(shape, array.dtype)


@pytest.mark.parametrize("name", mostly_slow(CALLS, [name for name in CALLS if " " not in name]))  # one a method
def test_a_batch_of_unknown_size(bridge, methods, problem, name):
    problem = problem("reviews-text" if name in OF_TOKENS else "softplus-mlp")

    def step(params, data, extra):
        return bridge.value_and_grad(lambda params: CALLS[name](methods, problem.at(params, data, extra)))(params)

    params, data, extra = problem.arrays
    signature = [{name: tf.TensorSpec(array.shape, array.dtype) for name, array in params.items()}]
    signature += [{name: unknown(name, array) for name, array in group.items()} for group in (data, extra)]
    values, gradient = tf.function(step, autograph=False, input_signature=signature)(params, data, extra)
    expected, expected_gradient = step(params, data, extra)
    np.testing.assert_allclose(values, expected, rtol=1e-9)
    for key in gradient:
        np.testing.assert_allclose(gradient[key], expected_gradient[key], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sample_of_unknown_size(bridge, methods, p, name):
    draw = partial(getattr(methods, name), 3, **({"rate": 0.5} if name == "dropout_mask" else {}))

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, None], tf.float64)])
    def drawn(x):
        return draw(tuple(tf.unstack(tf.shape(x))), like=x)

    np.testing.assert_allclose(drawn(p.x), draw(tuple(p.x.shape), like=p.x), rtol=1e-14)


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
def test_inputs_of_unknown_size(methods, p, norm):
    """Where nothing is built number by number, the rest of the shape need not be known either."""

    def step(x, start, flat):
        def loss(x):
            return tf.reduce_sum(tf.tanh(x) * flat, range(1, len(x.shape)))

        r = methods.pgd(loss, x, start, radius=1.0, step=0.5, steps=2, norm=norm)
        penalty = methods.input_gradient_penalty(loss, x + r)
        return penalty + methods.laplacian(loss, x, probes=start[None], how="forward")

    any_size = [tf.TensorSpec([None, None], tf.float64)] * 3
    traced = tf.function(step, autograph=False, input_signature=any_size)
    np.testing.assert_allclose(traced(p.x, p.other, p.x), step(p.x, p.other, p.x), rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m, p, x: m.laplacian(p.loss, x), ("x: got shape", "known sample shape")),
        (lambda m, p, x: m.noisy_loss(p.loss, p.x, x[:, None] + p.x), ("noise: got shape (None, 3, 4)", "known K")),
    ],
)
def test_what_is_built_number_by_number_needs_their_count(methods, p, call, words):
    step = tf.function(lambda x: call(methods, p, x), input_signature=[tf.TensorSpec([None, None], tf.float64)])
    with pytest.raises(ValueError, match="while traced") as caught:
        step(p.x)
    assert all(word in str(caught.value) for word in words)
