"""The methods of one framework at the edges: zero and extreme gradients, balls and boxes, what carries no gradient."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest

from tests.points import BATCH, CLASSES, WIDTH, ascent, numbers, zeros

# Zero gradients: 0/0 is read as 0.


@pytest.fixture(scope="module")
def flat(p):
    """Parameters at which the quadratic is 0 everywhere: its gradient is 0, and so is that of every penalty."""
    return {"A": p.array(zeros(WIDTH, WIDTH)), "b": p.array(zeros(WIDTH))}


@pytest.mark.parametrize("scope", ["sample", "tensor"])
@pytest.mark.parametrize("norm", ["l2", "linf", "l1", "raw"])
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


@pytest.mark.parametrize("how", ["fisher", "finite_difference", "exact"])
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


@pytest.mark.parametrize("norm", ["l2", "linf", "l1", "raw"])
def test_radius_zero_gives_zero(bridge, methods, p, norm):
    assert not bridge.to_numpy(methods.fgm(p.loss, p.x, radius=0, norm=norm)).any()


@pytest.mark.parametrize("norm", ["l2", "linf", "l1", "raw"])
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


def test_a_numpy_radius_does_not_widen_float32(bridge, methods, p):
    x = p.array(numbers("float32", BATCH, WIDTH))
    loss = p.quadratic({name: p.array(numbers("float32", *shape)) for name, shape in {"A": (4, 4), "b": (4,)}.items()})
    assert bridge.to_numpy(methods.fgm(loss, x, radius=np.float64(0.5))).dtype == np.float32


DUAL = {"l2": 2, "linf": 1, "l1": np.inf}
ORDER = {"l2": 2, "linf": np.inf, "l1": 1}


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("norm", DUAL)
def test_fgm_reaches_the_dual_norm(bridge, methods, p, norm, size):
    slope = size * numbers("float64", WIDTH)
    loss = p.quadratic({"A": p.array(zeros(WIDTH, WIDTH)), "b": p.array(slope)})
    r = bridge.to_numpy(methods.fgm(loss, p.x, radius=0.5, norm=norm))
    np.testing.assert_allclose(r @ (slope / size), 0.5 * np.linalg.norm(slope / size, DUAL[norm]), rtol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(r, ORDER[norm], axis=1), 0.5, rtol=1e-14)


def test_steepest_in_the_l1_ball_is_shared_between_ties(bridge, methods, p):
    x = p.array(np.array([[1.0, -2, 2, 0], [0, 0, 0, 0]]))
    assert np.array_equal(bridge.to_numpy(methods.steepest(x, norm="l1")), [[0, -0.5, 0.5, 0], [0, 0, 0, 0]])


# Projected gradient ascent.


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
def test_pgd_stays_in_ball_and_box_after_every_step(bridge, methods, p, norm):
    x = bridge.to_numpy(p.x)
    box, options = (float(x.min()), float(x.max())), {"radius": 2.0, "norm": norm}
    for steps in (1, 2, 3):
        free, boxed = (bridge.to_numpy(ascent(methods, p, steps=steps, bounds=b, **options)) for b in (None, box))
        assert (np.linalg.norm(free, ORDER[norm], axis=1) <= 2 + 1e-14).all()
        assert (np.linalg.norm(boxed, ORDER[norm], axis=1) <= 2 + 1e-14).all()
        assert (x + boxed).min() >= box[0] - 1e-15 and (x + boxed).max() <= box[1] + 1e-15
        assert (x + free).max() > box[1] or (x + free).min() < box[0]  # or the box would not be tried


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
def test_one_step_of_pgd_from_zero_is_fgm(bridge, methods, p, norm):
    r = ascent(methods, p, start=p.array(zeros(BATCH, WIDTH)), step=1.0, steps=1, norm=norm)
    fgm = methods.fgm(p.loss, p.x, radius=1.0, norm=norm)
    np.testing.assert_allclose(bridge.to_numpy(r), bridge.to_numpy(fgm), atol=1e-15)


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
def test_projection_of_far_and_near_points(bridge, methods, p, norm):
    far = (3e20 * numbers("float64", 5, 3)).astype("float32")
    found = bridge.to_numpy(methods.project(p.array(far), radius=0.01, norm=norm)).astype(float)
    np.testing.assert_allclose(np.linalg.norm(found, ORDER[norm], axis=1), 0.01, rtol=1e-6)
    near = 1e-3 * numbers("float64", 5, 3)
    assert np.array_equal(bridge.to_numpy(methods.project(p.array(near), radius=0.1, norm=norm)), near)


def test_pgd_depends_on_its_start(bridge, methods, p):
    assert not np.allclose(
        bridge.to_numpy(ascent(methods, p, steps=1)), bridge.to_numpy(ascent(methods, p, start=p.x, steps=1))
    )


def test_free_steps_carry_their_perturbation_on(bridge, methods, p):
    options = {"radius": 1.0, "step": 0.5}
    values, r = methods.freelb_loss(p.loss, p.x, p.other, steps=3, **options)
    singles, carried = [], p.other
    for _ in range(3):
        value, carried = methods.freelb_loss(p.loss, p.x, carried, steps=1, **options)
        singles.append(bridge.to_numpy(value))
    np.testing.assert_allclose(bridge.to_numpy(values), np.mean(singles, axis=0), rtol=1e-14)
    np.testing.assert_allclose(bridge.to_numpy(r), bridge.to_numpy(carried), rtol=1e-12)


def test_clean_weight_zero_evaluates_no_clean_loss(bridge, methods, p):
    calls = []

    def loss(x):
        calls.append(x)
        return p.loss(x)

    alone = methods.adversarial_loss(loss, p.x, p.other, clean_weight=0)
    assert len(calls) == 1
    assert np.array_equal(bridge.to_numpy(alone), bridge.to_numpy(p.loss(p.x + p.other)))


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
    "vat differences": lambda m, p, f, loss: m.vat_perturbation(f, p.x, p.other, radius=1.0, how="finite_difference"),
    "vat exact": lambda m, p, f, loss: m.vat_perturbation(f, p.x, p.other, radius=1.0, how="exact"),
    "top eigenvector": lambda m, p, f, loss: m.top_eigenpair(loss, p.x, p.other, steps=2)[1],
    "lanczos vector": lambda m, p, f, loss: m.top_eigenpair(loss, p.x, p.other, steps=2, how="lanczos")[1],
    "fgm l1": lambda m, p, f, loss: m.fgm(loss, p.x, radius=1.0, norm="l1"),
    "pgd": lambda m, p, f, loss: m.pgd(loss, p.x, p.other, radius=1.0, step=0.5, steps=2),
    "freelb": lambda m, p, f, loss: m.freelb_loss(loss, p.x, p.other, radius=1.0, step=0.5, steps=2)[1],
    "table": lambda m, p, f, loss: m.perturb_table(loss, p.x, radius=1.0),
    "output": lambda m, p, f, loss: output_perturbation(m, p, loss),
}


def output_perturbation(m, p, loss):
    """Of (B, T, D) inputs with T = 1."""
    r = m.perturb_output(lambda x: loss(x[:, 0]), p.x[:, None], p.array(np.ones((BATCH, 1))), radius=1.0)
    return r[:, 0]


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


# Noise, wherever it is added.


def test_noise_on_inputs_hidden_activations_embeddings_and_weights(bridge, methods, p):
    """The same function on another argument: each is the mean of the losses that are written out."""
    hidden = p.array(numbers("float64", BATCH, 5))
    upper = {"0.weight": p.params["1.weight"], "0.bias": p.params["1.bias"]}
    tokens = p.array(np.array([[0, 1, 1], [2, 0, 3], [4, 4, 4]], np.int32))
    words = p.models.embed(p.array(numbers("float64", 5, WIDTH)), tokens)  # (B, T, D)
    sites = {
        "inputs": (p.loss, p.x),
        "hidden activations": (lambda h: p.models.mlp(upper, h)[:, 1], hidden),
        "embeddings": (lambda e: p.f(e[:, 0] + e[:, 1] * e[:, 2])[:, 0], words),
    }
    for name, (loss, x) in sites.items():
        noise = p.array(numbers("float64", 2, *x.shape))
        expected = (bridge.to_numpy(loss(x + noise[0])) + bridge.to_numpy(loss(x + noise[1]))) / 2
        np.testing.assert_allclose(bridge.to_numpy(methods.noisy_loss(loss, x, noise)), expected, err_msg=name)

    def of_params(params):
        return p.models.mlp(params, p.x)[:, 0]

    noise = {name: p.array(numbers("float64", 2, *value.shape)) for name, value in p.params.items()}
    moved = [of_params({name: p.params[name] + z[k] for name, z in noise.items()}) for k in (0, 1)]
    found = bridge.to_numpy(methods.weight_noise(of_params, p.params, noise))
    np.testing.assert_allclose(found, sum(map(bridge.to_numpy, moved)) / 2)


# Embeddings.


@pytest.fixture(scope="module")
def text(p):
    """Tokens, some repeated, their mask, a table, and losses of the table and of its output."""
    tokens = p.array(np.array([[0, 1, 1, 3], [2, 0, 2, 0]], np.int32))
    weight = p.array(numbers("float64", 4, WIDTH))

    def of_output(x):  # (B, T, D) -> (B,)
        hidden = p.f(x[:, 0] + x[:, 1] * x[:, 2])
        return hidden[:, 0] + 0.1 * x[:, 3, 0]

    return SimpleNamespace(
        tokens=tokens,
        numbers=np.array([[0, 1, 1, 3], [2, 0, 2, 0]]),
        mask=np.array([[1.0, 1, 1, 0], [1, 1, 1, 1]]),
        table=p.array(numbers("float64", 5, WIDTH)),
        weight=weight,
        of_output=of_output,
        of_table=lambda table: of_output(p.models.embed(table, tokens)),
    )


def looked_up(framework, p, text):
    """Losses of the table by every way that the framework looks rows up; some hand back sparse gradients."""
    ways = {"embed": text.of_table}
    if framework == "torch":
        embedding = importlib.import_module("torch.nn.functional").embedding
        ways["sparse"] = lambda table: text.of_output(embedding(text.tokens, table, sparse=True))
    if framework == "tensorflow":
        lookup = importlib.import_module("tensorflow").nn.embedding_lookup
        ways["sparse"] = lambda table: text.of_output(lookup(table, text.tokens))
    return ways


def test_table_gets_what_all_positions_of_a_token_get(framework, bridge, methods, p, text):
    x = p.models.embed(text.table, text.tokens)
    at_positions = bridge.to_numpy(methods.fgm(text.of_output, x, radius=1.0, norm="raw"))
    expected = np.zeros((5, WIDTH))
    np.add.at(expected, text.numbers, at_positions)
    assert np.abs(expected[:4]).min(axis=1).max() > 0 and not expected[4].any()  # the last token does not occur
    for way, loss in looked_up(framework, p, text).items():
        raw = bridge.to_numpy(methods.perturb_table(loss, text.table, radius=1.0, norm="raw"))
        np.testing.assert_allclose(raw, expected, atol=1e-14, err_msg=way)
        r = bridge.to_numpy(methods.perturb_table(loss, text.table, radius=2.0))
        np.testing.assert_allclose(r, 2 * expected / np.linalg.norm(expected), atol=1e-14, err_msg=way)


@pytest.mark.parametrize("norm", ["l2", "linf", "l1", "raw"])
def test_padding_is_left_alone_and_takes_nothing_from_the_radius(bridge, methods, p, text, norm):
    x = p.models.embed(text.table, text.tokens)
    r = bridge.to_numpy(methods.perturb_output(text.of_output, x, p.array(text.mask), radius=2.0, norm=norm))
    whole = bridge.to_numpy(methods.fgm(text.of_output, x, radius=2.0, norm="raw"))
    assert whole[0, 3].any() and not r[0, 3].any()
    if norm != "raw":
        np.testing.assert_allclose(np.linalg.norm(r.reshape(2, -1), ORDER[norm], axis=1), 2, rtol=1e-14)
    else:
        np.testing.assert_array_equal(r, whole * text.mask[:, :, None])


def test_normalized_embedding_has_mean_0_and_variance_1_and_forgets_scale(bridge, methods, p):
    table, frequencies = numbers("float64", 6, 3), np.array([0.0, 1, 0, 2, 7, 1])
    table[:, 2] = [5, 0.1, 0.3, 0.1, 0.1, 0.1]  # a component that does not vary among the tokens that occur
    found = bridge.to_numpy(methods.normalize_embedding(p.array(table), p.array(frequencies)))
    share = frequencies / frequencies.sum()
    np.testing.assert_allclose(share @ found, 0, atol=1e-15)
    np.testing.assert_allclose(share @ found**2, [1, 1, 0], atol=1e-14)
    scaled = bridge.to_numpy(methods.normalize_embedding(p.array(1024 * table), p.array(frequencies)))
    assert np.array_equal(scaled, found)


# Spectral norms.


def separated(*shape):
    """A random matrix or kernel whose singular values are 4, 1, ¼, …: power iterations converge at once."""
    left, _, right = np.linalg.svd(numbers("float64", *shape).reshape(shape[0], -1), full_matrices=False)
    return ((left * 4.0 ** (1 - np.arange(left.shape[1]))) @ right).reshape(shape)


def test_spectral_norm_of_a_matrix_and_a_kernel(bridge, methods, p):
    for shape in ((5, 3), (3, 5), (4, 2, 3, 3), (3,)):
        weight = separated(*shape)
        u = p.array(numbers("float64", shape[0]))
        sigma, u = methods.spectral_norm(p.array(weight), u, steps=20)
        left, values, right = np.linalg.svd(weight.reshape(shape[0], -1))
        np.testing.assert_allclose(bridge.to_numpy(sigma), values[0], rtol=1e-13)
        step = bridge.value_and_grad(lambda params, u=u: methods.spectral_norm(params["W"], u, steps=1)[0])
        slope = bridge.to_numpy(step({"W": p.array(weight)})[1]["W"])
        np.testing.assert_allclose(slope, np.outer(left[:, 0], right[0]).reshape(shape), atol=1e-8)


def test_spectral_norm_comes_from_below_and_zero_is_zero(bridge, methods, p):
    weight, u = numbers("float64", 6, 5), numbers("float64", 6)
    found = [float(bridge.to_numpy(methods.spectral_norm(p.array(weight), p.array(u), steps=k)[0])) for k in (1, 2, 5)]
    assert found[0] < found[1] < found[2] <= np.linalg.norm(weight, 2) * (1 + 1e-15)
    sigma, u = methods.spectral_norm(p.array(zeros(2, 3)), p.array(np.ones(2)), steps=2)
    assert bridge.to_numpy(sigma) == 0 and not bridge.to_numpy(u).any()


def test_lipschitz_bound_holds_for_a_network_and_a_convolution(bridge, methods, p):
    weights = [p.params["0.weight"], p.params["1.weight"]]
    us = [p.array(np.ones(weight.shape[0])) for weight in weights]
    bound = float(bridge.to_numpy(methods.lipschitz_bound(weights, us, steps=60)))
    exact = np.prod([np.linalg.norm(bridge.to_numpy(weight), 2) for weight in weights])
    np.testing.assert_allclose(bound, exact, rtol=1e-6)
    outputs = np.linalg.norm(bridge.to_numpy(p.f(p.x)) - bridge.to_numpy(p.f(p.other)), axis=1)
    inputs = np.linalg.norm(bridge.to_numpy(p.x) - bridge.to_numpy(p.other), axis=1)
    assert (outputs <= bound * inputs).all()
    kernel = separated(3, 1, 2)
    matrix = np.zeros((3 * 4, 5))  # stride 1 on five inputs
    for place in range(4):
        matrix[3 * place : 3 * place + 3, place : place + 2] = kernel[:, 0]
    bound = float(bridge.to_numpy(methods.lipschitz_bound([p.array(kernel)], [p.array(np.ones(3))], steps=20)))
    assert np.linalg.norm(matrix, 2) <= bound <= 2 * np.linalg.norm(matrix, 2)


# Curvature by other ways.


def test_lanczos_stops_where_the_space_is_exhausted(bridge, methods, p):
    for diagonal, expected in (([2.0, 2, 2, 2], 2.0), ([1.0, 1, -3, -3], -3.0), ([0.0, 0, 0, 0], 0.0)):
        bowl = p.quadratic({"A": p.array(np.diag(diagonal)), "b": p.array(zeros(WIDTH))})
        value, vector = methods.top_eigenpair(bowl, p.x, p.other, steps=3, how="lanczos")
        np.testing.assert_allclose(bridge.to_numpy(value), expected, rtol=1e-13)
        np.testing.assert_allclose(np.linalg.norm(bridge.to_numpy(vector), axis=1), 1, rtol=1e-14)


# A closure may hold the very array that is passed: derivatives are in the argument alone (claim G7).


def test_what_the_closure_holds_of_x_is_held_fixed(bridge, methods, p):
    x = p.array(np.array([[1.0, 2], [3, -1]]))

    def f(z):
        return z * x

    def loss(z):  # Σ z²x: at z = x the gradient is 2x², the Hessian diag(2x)
        products = z * f(z)
        return products[:, 0] + products[:, 1]

    def found(result):
        return bridge.to_numpy(result).tolist()

    assert found(methods.hvp(loss, x, 0 * x + 1)) == [[2, 4], [6, -2]]
    assert found(methods.laplacian(loss, x)) == [6, 4]
    assert found(methods.input_gradient_penalty(loss, x)) == [68, 328]
    assert found(methods.jacobian_penalty(f, x)) == [5, 10]
    assert found(methods.tikhonov_penalty("squared_error", f, x)) == [10, 20]
    assert found(methods.fgm(loss, x, radius=1.0, norm="raw")) == [[2, 8], [18, 2]]


# Flooding.


def test_flooding_turns_the_loss_upwards_below_the_level(bridge, methods, p):
    losses = p.array(np.array([0.1, 0.3, 0.5]))
    flooded = bridge.to_numpy(methods.flooding(losses, level=0.3))
    slope = bridge.to_numpy(bridge.gradient(lambda loss: methods.flooding(loss, level=0.3), losses))
    np.testing.assert_allclose(flooded, [0.5, 0.3, 0.5])
    assert np.array_equal(slope, [-1, 0, 1])


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


def draw(methods, name, seed, shape, like):
    options = {"rate": 0.25} if name == "dropout_mask" else {}
    return getattr(methods, name)(seed, shape, like=like, **options)


SAMPLERS = ["rademacher", "gaussian", "uniform", "uniform_sphere", "uniform_ball", "dropout_mask"]


@pytest.mark.parametrize("name", SAMPLERS)
def test_sampler_leaves_the_global_state_alone(framework, methods, p, name):
    set_global_seed(framework)
    untouched = next_global_number(framework), np.random.random()  # noqa: NPY002
    set_global_seed(framework)
    draw(methods, name, 5, (10, 2), p.x)
    assert (next_global_number(framework), np.random.random()) == untouched  # noqa: NPY002


@pytest.mark.parametrize("name", SAMPLERS)
def test_seed_decides(bridge, methods, p, name):
    def drawn(seed):
        return bridge.to_numpy(draw(methods, name, seed, (4, 25), p.x))

    assert np.array_equal(drawn(3), drawn(3))
    assert not np.array_equal(drawn(3), drawn(4))
    assert drawn(0).shape == (4, 25)


@pytest.mark.parametrize("name", SAMPLERS)
def test_seed_and_like_may_be_traced(framework, bridge, methods, p, name):
    if framework == "torch":
        pytest.skip("PyTorch's generators cannot be compiled")

    def drawn(seed, like):
        return draw(methods, name, seed, (4, 25), like)

    seed = p.array(np.int32(3))
    outside = bridge.to_numpy(drawn(3, p.x))
    assert np.array_equal(bridge.to_numpy(drawn(seed, p.x)), outside)
    inside = bridge.to_numpy(bridge.compiled(drawn, bridge.SWEEP_MODE)(seed, p.x))
    np.testing.assert_allclose(inside, outside, rtol=1e-14)  # sums are rounded otherwise


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_sampler_takes_the_dtype_of_like(bridge, methods, p, name, dtype):
    like = p.array(np.zeros(1, dtype))
    assert bridge.to_numpy(draw(methods, name, 0, (3, 2), like)).dtype == dtype


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


def near(draws, mean, variance):
    """Whether the mean of the draws, of known variance, lies within six standard errors."""
    return abs(draws.mean() - mean) < 6 * (variance / draws.size) ** 0.5


def test_uniform_numbers_have_their_moments(bridge, methods, p):
    draws = bridge.to_numpy(methods.uniform(0, (100_000,), like=p.x))
    assert draws.min() >= 0 and draws.max() < 1
    assert near(draws, 1 / 2, 1 / 12) and near(draws**2, 1 / 3, 4 / 45)


def test_points_on_the_sphere(bridge, methods, p):
    z = bridge.to_numpy(methods.uniform_sphere(0, (50_000, 3, 1), like=p.x)).reshape(-1, 3)
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, rtol=1e-14)
    for component in z.T:  # uniform in (-1, 1) on the sphere of three dimensions (Archimedes)
        assert near(component, 0, 1 / 3) and near(component**2, 1 / 3, 4 / 45)
        assert near(component**4, 1 / 5, 1 / 9 - 1 / 25)
    assert near(z[:, 0] * z[:, 1], 0, 1 / 15)


@pytest.mark.parametrize("norm", ["l2", "linf", "l1"])
def test_points_in_the_ball(bridge, methods, p, norm):
    n = 3
    z = bridge.to_numpy(methods.uniform_ball(0, (50_000, n), like=p.x, norm=norm))
    share = np.linalg.norm(z, ORDER[norm], axis=1) ** n  # of the ball's volume within: uniform in [0, 1]
    assert share.max() <= 1 + 1e-12
    assert near(share, 1 / 2, 1 / 12) and near(share**2, 1 / 3, 4 / 45)
    for component in z.T:
        assert near(component, 0, 1 / 3) and near(np.sign(component), 0, 1)
    seconds = (z**2).mean(0)
    expected = {"l2": 1 / (n + 2), "linf": 1 / 3, "l1": 2 / ((n + 1) * (n + 2))}[norm]
    np.testing.assert_allclose(seconds, expected, rtol=0.05)  # more than ten standard errors
    assert near(np.sign(z[:, 0] * z[:, 1]), 0, 1)


def test_dropout_masks_drop_their_share_and_keep_the_mean(bridge, methods, p):
    mask = bridge.to_numpy(methods.dropout_mask(0, (1000, 100), rate=0.2, like=p.x))
    assert set(mask.ravel()) == {0.0, 1.25}
    assert near(mask, 1, 0.25)
    assert (bridge.to_numpy(methods.dropout_mask(0, (5,), rate=0.0, like=p.x)) == 1).all()
