"""The methods of one framework at the edges: wrong arguments, zero and extreme gradients, what carries no gradient."""

import importlib
import re
from types import SimpleNamespace

import numpy as np
import pytest

BATCH, WIDTH, CLASSES = 3, 4, 2


@pytest.fixture(scope="module")
def p(bridge, methods):
    """A network's loss and outputs, a quadratic's, and a batch to call them with; `array` makes the framework's."""
    rng = np.random.default_rng(0)
    models = importlib.import_module(f"{bridge.__name__}.models")
    array = bridge.from_numpy
    params = {
        "0.weight": array(rng.standard_normal((5, WIDTH))),
        "0.bias": array(rng.standard_normal(5)),
        "1.weight": array(rng.standard_normal((CLASSES, 5))),
        "1.bias": array(rng.standard_normal(CLASSES)),
    }

    def f(x):
        return models.mlp(params, x)

    def quadratic(params):
        return lambda x: models.quadratic(params, x)[:, 0]

    return SimpleNamespace(
        array=array,
        params=params,
        models=models,
        f=f,
        loss=lambda x: f(x)[:, 0],
        quadratic=quadratic,
        x=array(rng.standard_normal((BATCH, WIDTH))),
        other=array(rng.standard_normal((BATCH, WIDTH))),
        logits=array(rng.standard_normal((BATCH, CLASSES))),
    )


def numbers(dtype, *shape):
    return np.random.default_rng(1).standard_normal(shape).astype(dtype)


def zeros(*shape):
    return np.zeros(shape)


# name: a call that must be refused, and what the message must say: the argument, what came, what was expected.
REFUSED = {
    "negative radius": (lambda m, p: m.fgm(p.loss, p.x, radius=-1.0), "radius", "-1.0", "≥ 0"),
    "infinite radius": (lambda m, p: m.fgm(p.loss, p.x, radius=float("inf")), "radius", "inf", "finite"),
    "radius in words": (lambda m, p: m.fgm(p.loss, p.x, radius="big"), "radius", "'big'", "a number"),
    "weights of the classes alone": (
        lambda m, p: m.jacobian_penalty(p.f, p.x, weights=p.array(zeros(2))),
        "weights",
        "(2,)",
        "(3, C)",
    ),
    "noise in a list": (lambda m, p: m.noisy_loss(p.loss, p.x, [1.0]), "noise", "list", "an array"),
    "negative seed": (lambda m, p: m.rademacher(-1, (2,), like=p.x), "seed", "-1", "≥ 0"),
    "radius a sample": (lambda m, p: m.fgm(p.loss, p.x, radius=p.array(zeros(BATCH))), "radius", "(3,)", "a number"),
    "unknown norm": (lambda m, p: m.fgm(p.loss, p.x, radius=1.0, norm="l3"), "norm", "'l3'", "'l2', 'linf', 'l1', 'raw'"),
    "unknown scope": (lambda m, p: m.fgm(p.loss, p.x, radius=1.0, scope="batch"), "scope", "'batch'", "'tensor'"),
    "reduced loss": (lambda m, p: m.fgm(lambda x: p.loss(x)[0], p.x, radius=1.0), "loss", "()", "(3)", "not reduced"),
    "loss a class": (lambda m, p: m.fgm(p.f, p.x, radius=1.0), "loss", "(3, 2)", "(3)"),
    "penalty of a reduced loss": (
        lambda m, p: m.input_gradient_penalty(lambda x: p.loss(x)[0], p.x),
        "loss",
        "()",
        "(3)",
        "not reduced",
    ),
    "hvp of a reduced loss": (lambda m, p: m.hvp(lambda x: p.loss(x)[0], p.x, p.other), "loss", "()", "not reduced"),
    "outputs without classes": (
        lambda m, p: m.vat_perturbation(p.loss, p.x, p.other, radius=1.0),
        "f",
        "(3,)",
        "(3, C)",
    ),
    "integer x": (lambda m, p: m.fgm(p.loss, p.array(np.ones((3, 4), np.int32)), radius=1.0), "x", "int32", "floating"),
    "a list for x": (lambda m, p: m.fgm(p.loss, [[0.0]], radius=1.0), "x", "list", "floating"),
    "NaN in x": (lambda m, p: m.fgm(p.loss, p.array(np.full((3, 4), np.nan)), radius=1.0), "x", "NaN", "finite"),
    "infinity in x": (lambda m, p: m.unit(p.array(np.full((3, 4), np.inf))), "x", "infinity", "finite"),
    "no sample": (lambda m, p: m.fgm(p.loss, p.array(zeros(0, 4)), radius=1.0), "x", "(0, 4)", "at least one"),
    "scalar x": (lambda m, p: m.l2_norm(p.array(np.float64(1))), "x", "()", "(B, *S)"),
    "short vector": (lambda m, p: m.hvp(p.loss, p.x, p.array(zeros(3, 3))), "vector", "(3, 3)", "(3, 4)"),
    "one vector for all": (lambda m, p: m.hvp(p.loss, p.x, p.array(zeros(4))), "vector", "(4,)", "(3, 4)"),
    "short start": (
        lambda m, p: m.top_eigenpair(p.loss, p.x, p.array(zeros(2, 4)), steps=1),
        "start",
        "(2, 4)",
        "(3, 4)",
    ),
    "short start of VAT": (
        lambda m, p: m.vat_loss(p.f, p.x, p.array(zeros(3, 1)), radius=1.0),
        "start",
        "(3, 1)",
        "(3, 4)",
    ),
    "noise without K": (lambda m, p: m.noisy_loss(p.loss, p.x, p.other), "noise", "(3, 4)", "(K, 3, 4)"),
    "no noise": (lambda m, p: m.noisy_loss(p.loss, p.x, p.array(zeros(0, 3, 4))), "noise", "(0, 3, 4)", "(K, 3, 4)"),
    "noise of a consistency loss": (
        lambda m, p: m.consistency_loss(m.kl_divergence, p.f, p.x, p.array(zeros(2, 3, 5))),
        "noise",
        "(2, 3, 5)",
        "(K, 3, 4)",
    ),
    "probes of inputs": (
        lambda m, p: m.laplacian(p.loss, p.x, probes=p.array(zeros(2, 3, 2))),
        "probes",
        "(2, 3, 2)",
        "(K, 3, 4)",
    ),
    "probes of outputs": (
        lambda m, p: m.jacobian_penalty(p.f, p.x, probes=p.array(zeros(2, 2))),
        "probes",
        "(2, 2)",
        "(K, 3, C)",
    ),
    "VAT without a step": (
        lambda m, p: m.vat_perturbation(p.f, p.x, p.other, radius=1.0, steps=0),
        "steps",
        "0",
        "whole number ≥ 1",
    ),
    "negative steps": (lambda m, p: m.top_eigenpair(p.loss, p.x, p.other, steps=-1), "steps", "-1", "≥ 0"),
    "half a step": (lambda m, p: m.top_eigenpair(p.loss, p.x, p.other, steps=0.5), "steps", "0.5", "whole number"),
    "zero xi": (lambda m, p: m.vat_loss(p.f, p.x, p.other, radius=1.0, xi=0.0), "xi", "0.0", "> 0"),
    "unknown how": (lambda m, p: m.vat_loss(p.f, p.x, p.other, radius=1.0, how="fast"), "how", "'fast'", "'exact'"),
    "one-hot integers": (
        lambda m, p: m.cross_entropy(p.logits, p.array(np.ones((3, 2), np.int32))),
        "labels",
        "int32",
        "probabilities",
    ),
    "floating-point class numbers": (
        lambda m, p: m.cross_entropy(p.logits, p.array(zeros(3))),
        "labels",
        "float64",
        "integer class numbers",
    ),
    "labels of another batch": (
        lambda m, p: m.cross_entropy(p.logits, p.array(np.zeros(4, np.int32))),
        "labels",
        "(4,)",
        "(3)",
    ),
    "soft labels of other classes": (
        lambda m, p: m.cross_entropy(p.logits, p.array(zeros(3, 5))),
        "labels",
        "(3, 5)",
        "(3, 2)",
    ),
    "targets that would broadcast": (
        lambda m, p: m.squared_error(p.logits, p.array(zeros(1, 2))),
        "targets",
        "(1, 2)",
        "(3, 2)",
    ),
    "logits that would broadcast": (
        lambda m, p: m.kl_divergence(p.logits, p.array(zeros(3, 1))),
        "q_logits",
        "(3, 1)",
        "(3, 2)",
    ),
}


@pytest.mark.parametrize(("call", "argument", "words"), [(c, a, w) for c, a, *w in REFUSED.values()], ids=REFUSED)
def test_wrong_argument_is_refused(methods, p, call, argument, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        call(methods, p)
    message = str(caught.value)
    assert re.match(rf"(what )?{argument}\b", message), message
    assert all(word in message for word in ["got", "expected", *words]), message


# Zero gradients: 0/0 is read as 0.


@pytest.fixture(scope="module")
def flat(p):
    """Parameters at which the quadratic is 0 everywhere: its gradient is 0, and so is that of every penalty."""
    return {"A": p.array(zeros(WIDTH, WIDTH)), "b": p.array(zeros(WIDTH))}


@pytest.mark.parametrize("scope", ["sample", "tensor"])
@pytest.mark.parametrize("norm", ["l2", "linf", "raw"])
def test_zero_gradient_gives_zero_perturbation(bridge, methods, p, flat, norm, scope):
    r = bridge.to_numpy(methods.fgm(p.quadratic(flat), p.x, radius=1.0, norm=norm, scope=scope))
    assert np.array_equal(r, zeros(BATCH, WIDTH))


@pytest.mark.parametrize("norm", ["l2_squared", "l2", "l1"])
def test_zero_gradient_gives_zero_penalty_with_zero_gradient(bridge, methods, p, flat, norm):
    def penalty(params):
        return methods.input_gradient_penalty(p.quadratic(params), p.x, norm=norm)

    values, gradients = bridge.compiled(bridge.value_and_grad(penalty), bridge.SWEEP_MODE)(flat)
    assert np.array_equal(bridge.to_numpy(values), zeros(BATCH))
    for name, gradient in gradients.items():
        assert not bridge.to_numpy(gradient).any(), name


def test_norm_of_zero_has_gradient_zero(bridge, methods, p):
    zero = p.array(zeros(BATCH, WIDTH))
    assert not bridge.to_numpy(methods.l2_norm(zero)).any()
    assert not bridge.to_numpy(bridge.gradient(methods.l2_norm, zero)).any()
    assert not bridge.to_numpy(methods.unit(zero)).any()


@pytest.mark.parametrize("how", ["finite_difference", "exact"])
def test_vat_of_a_constant_model_is_zero(bridge, methods, p, how):
    constant = {"weight": p.array(zeros(CLASSES, WIDTH)), "bias": p.array(zeros(CLASSES))}

    def f(params):
        return lambda x: p.models.linear(params, x)

    def step(params):
        loss = bridge.value_and_grad(lambda params: methods.vat_loss(f(params), p.x, p.other, radius=1.0, how=how))
        return methods.vat_perturbation(f(params), p.x, p.other, radius=1.0, how=how), *loss(params)

    r, values, gradients = bridge.compiled(step, bridge.SWEEP_MODE)(constant)
    assert np.array_equal(bridge.to_numpy(r), zeros(BATCH, WIDTH))
    assert not bridge.to_numpy(values).any()
    assert all(not bridge.to_numpy(gradient).any() for gradient in gradients.values())


IGNORING_X = {
    "fgm": lambda m, p, f, loss: m.fgm(loss, p.x, radius=1.0),
    "input_gradient_penalty": lambda m, p, f, loss: m.input_gradient_penalty(loss, p.x),
    "jacobian_penalty": lambda m, p, f, loss: m.jacobian_penalty(f, p.x),
    "hvp": lambda m, p, f, loss: m.hvp(loss, p.x, p.other),
    "laplacian": lambda m, p, f, loss: m.laplacian(loss, p.x),
    "vat_perturbation": lambda m, p, f, loss: m.vat_perturbation(f, p.x, p.other, radius=1.0),
}


@pytest.mark.parametrize("call", IGNORING_X.values(), ids=IGNORING_X)
def test_function_that_ignores_x_has_gradient_zero(bridge, methods, p, call):
    result = call(methods, p, lambda x: p.logits, lambda x: p.logits[:, 0])
    assert not bridge.to_numpy(result).any()


def test_one_zero_sample_does_not_touch_the_others(bridge, methods, p):
    x = np.array(bridge.to_numpy(p.x))
    x[1] = 0  # where ½‖x‖² has gradient 0
    ball = p.quadratic({"A": p.array(np.eye(WIDTH)), "b": p.array(zeros(WIDTH))})
    r = bridge.to_numpy(methods.fgm(ball, p.array(x), radius=2.0))
    assert np.allclose(np.linalg.norm(r, axis=1), [2, 0, 2], rtol=1e-14)


# The fast gradient method.


@pytest.mark.parametrize("norm", ["l2", "linf", "raw"])
def test_radius_zero_gives_zero(bridge, methods, p, norm):
    assert not bridge.to_numpy(methods.fgm(p.loss, p.x, radius=0, norm=norm)).any()


@pytest.mark.parametrize("norm", ["l2", "linf", "raw"])
def test_samples_do_not_see_each_other(bridge, methods, p, norm):
    together = bridge.to_numpy(methods.fgm(p.loss, p.x, radius=1.0, norm=norm))
    alone = [bridge.to_numpy(methods.fgm(p.loss, p.x[b : b + 1], radius=1.0, norm=norm)) for b in range(BATCH)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-14)  # products of another size round otherwise


def test_scope_tensor_has_one_norm_for_the_batch(bridge, methods, p):
    r = bridge.to_numpy(methods.fgm(p.loss, p.x, radius=2.0, scope="tensor"))
    raw = bridge.to_numpy(methods.fgm(p.loss, p.x, radius=2.0, norm="raw"))
    np.testing.assert_allclose(np.linalg.norm(r), 2, rtol=1e-14)
    np.testing.assert_allclose(r / raw, np.full((BATCH, WIDTH), 2 / np.linalg.norm(raw)), rtol=1e-11)


@pytest.mark.parametrize("size", [1e-30, 1e30])
@pytest.mark.parametrize("scope", ["sample", "tensor"])
def test_extreme_gradients_keep_the_radius(bridge, methods, p, scope, size):
    slope = (size * numbers("float64", WIDTH)).astype("float32")  # its squares are 0 or infinity in float32
    loss = p.quadratic({"A": p.array(zeros(WIDTH, WIDTH).astype("float32")), "b": p.array(slope)})
    r = bridge.to_numpy(methods.fgm(loss, p.array(numbers("float32", BATCH, WIDTH)), radius=0.5, scope=scope))
    assert r.dtype == np.float32
    lengths = np.linalg.norm(r.astype(float), axis=1) if scope == "sample" else np.linalg.norm(r.astype(float))
    np.testing.assert_allclose(lengths, 0.5, rtol=4 * 2**-24)


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_extreme_gradients_keep_their_norm(bridge, methods, p, size):
    slope = (size * numbers("float64", WIDTH)).astype("float32")
    loss = p.quadratic({"A": p.array(zeros(WIDTH, WIDTH).astype("float32")), "b": p.array(slope)})
    x = p.array(numbers("float32", BATCH, WIDTH))
    norm = bridge.to_numpy(methods.input_gradient_penalty(loss, x, norm="l2"))
    np.testing.assert_allclose(norm, np.linalg.norm(slope.astype(float)), rtol=4 * 2**-24)


PERTURBATIONS = {
    "fgm l2": lambda m, p, f, loss: m.fgm(loss, p.x, radius=1.0),
    "fgm raw": lambda m, p, f, loss: m.fgm(loss, p.x, radius=1.0, norm="raw"),
    "vat": lambda m, p, f, loss: m.vat_perturbation(f, p.x, p.other, radius=1.0),
    "vat exact": lambda m, p, f, loss: m.vat_perturbation(f, p.x, p.other, radius=1.0, how="exact"),
    "top eigenvector": lambda m, p, f, loss: m.top_eigenpair(loss, p.x, p.other, steps=2)[1],
}


@pytest.mark.parametrize("perturbation", PERTURBATIONS.values(), ids=PERTURBATIONS)
def test_perturbation_carries_no_gradient(bridge, methods, p, perturbation):
    def objective(params):
        def f(x):
            return p.models.mlp(params, x)

        return methods.squared_error(perturbation(methods, p, f, lambda x: f(x)[:, 0]), p.other)

    values, gradients = bridge.compiled(bridge.value_and_grad(objective), bridge.SWEEP_MODE)(p.params)
    assert bridge.to_numpy(values).any()
    assert gradients.keys() == p.params.keys()
    assert all(not bridge.to_numpy(gradient).any() for gradient in gradients.values())


# The Kullback–Leibler divergence.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kl_is_zero_at_equal_logits(bridge, methods, p, dtype):
    logits = p.array(10 * numbers(dtype, 50, 7))
    assert np.array_equal(bridge.to_numpy(methods.kl_divergence(logits, logits)), np.zeros(50))


@pytest.mark.parametrize("distance", [1e-6, 1e-3, 1.0, 100.0])
def test_kl_is_not_negative(bridge, methods, p, distance):
    logits = numbers("float32", 200, 7)
    moved = (logits + distance * np.random.default_rng(2).standard_normal(logits.shape)).astype("float32")
    assert (bridge.to_numpy(methods.kl_divergence(p.array(logits), p.array(moved))) >= 0).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kl_is_finite_at_extreme_logits(bridge, methods, p, dtype):
    a = p.array(np.array([[1e4, -1e4], [1e4, -1e4]], dtype))
    b = p.array(np.array([[-1e4, 1e4], [1e4, -1e4]], dtype))
    np.testing.assert_allclose(bridge.to_numpy(methods.kl_divergence(a, b)), [2e4, 0], rtol=1e-6)
    for function in (lambda a: methods.kl_divergence(a, b), lambda a: methods.kl_divergence(b, a)):
        slope = bridge.compiled(lambda a, function=function: bridge.gradient(function, a), bridge.SWEEP_MODE)
        assert np.isfinite(bridge.to_numpy(slope(a))).all()


# Samplers.


def next_global_number(framework):
    """What the framework's own global generator draws next; JAX has none."""
    if framework == "torch":
        return float(importlib.import_module("torch").rand(()))
    if framework == "tensorflow":
        return float(importlib.import_module("tensorflow").random.uniform(()))
    return 0.0


def set_global_seed(framework):
    np.random.seed(0)  # noqa: NPY002 (the global state is what is tested)
    if framework == "torch":
        importlib.import_module("torch").manual_seed(0)
    if framework == "tensorflow":
        importlib.import_module("tensorflow").random.set_seed(0)


@pytest.mark.parametrize("name", ["rademacher", "gaussian"])
def test_sampler_leaves_the_global_state_alone(framework, methods, p, name):
    set_global_seed(framework)
    untouched = next_global_number(framework), np.random.random()  # noqa: NPY002
    set_global_seed(framework)
    getattr(methods, name)(5, (10,), like=p.x)
    assert (next_global_number(framework), np.random.random()) == untouched  # noqa: NPY002


@pytest.mark.parametrize("name", ["rademacher", "gaussian"])
def test_seed_decides(bridge, methods, p, name):
    def draw(seed):
        return bridge.to_numpy(getattr(methods, name)(seed, (4, 25), like=p.x))

    assert np.array_equal(draw(3), draw(3))
    assert not np.array_equal(draw(3), draw(4))
    assert draw(0).shape == (4, 25)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["rademacher", "gaussian"])
def test_sampler_takes_the_dtype_of_like(bridge, methods, p, name, dtype):
    like = p.array(np.zeros(1, dtype))
    assert bridge.to_numpy(getattr(methods, name)(0, (3,), like=like)).dtype == dtype


# Limits are six standard errors of 100,000 draws; the seed is fixed, so that this is not left to chance.


def test_signs_are_signs(bridge, methods, p):
    signs = bridge.to_numpy(methods.rademacher(0, (100_000,), like=p.x))
    assert set(signs) == {-1.0, 1.0}
    assert abs(signs.mean()) < 6 / 1e5**0.5


def test_normal_numbers_have_their_moments(bridge, methods, p):
    draws = bridge.to_numpy(methods.gaussian(0, (100_000,), like=p.x))
    moments = [(draws**k).mean() for k in (1, 2, 3, 4)]
    errors = [1, 2**0.5, 15**0.5, 96**0.5]  # √ of the variances of z, z², z³, z⁴
    for moment, expected, error in zip(moments, [0, 1, 0, 3], errors, strict=True):
        assert abs(moment - expected) < 6 * error / 1e5**0.5
