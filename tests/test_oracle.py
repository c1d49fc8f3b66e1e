"""The oracle against mpmath: forward passes alone, written out with 50 digits, and differences of them.

Nothing is shared with the oracle but the formulas. A gradient is compared block by block (x and each parameter) along
one random direction that moves every entry: an entry wrong by the relative amount ε moves the number by about ε.
"""

import itertools
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest

from equivalence import oracle
from equivalence.oracle import derivative, pullbacks, values

# float64 rounds some ten sums of a few terms (1e-15), and a second derivative by a circle magnifies that by up to some
# hundreds; the differences below are exact to 1e-15. A wrong formula is off by far more than 1e-9.
LIMIT = 1e-11
STEP = mpmath.mpf(10) ** -9  # central: off by its square; what it divides is exact to 1e-24
INNER = mpmath.mpf(10) ** -12  # of differences inside what STEP divides


@pytest.fixture(autouse=True)
def fifty_digits():
    with mpmath.workdps(50):
        yield


tanh, exp, log = (np.frompyfunc(function, 1, 1) for function in (mpmath.tanh, mpmath.exp, mpmath.log))


def precise(tree):
    """Arrays of floating-point numbers with 50 digits."""
    if isinstance(tree, dict):
        return {name: precise(value) for name, value in tree.items()}
    return np.frompyfunc(mpmath.mpf, 1, 1)(tree)


# The models, one sample at a time.


def quadratic(params, x):
    return np.array([x @ params["A"] @ x / 2 + params["b"] @ x])


def linear(params, x):
    return params["weight"] @ x.ravel() + params["bias"]


def mlp(params, x):
    hidden = tanh(params["0.weight"] @ x + params["0.bias"])
    return params["1.weight"] @ hidden + params["1.bias"]


def cnn(params, x):
    features = x[None]
    for layer in ("conv0", "conv1"):
        weight, bias = params[f"{layer}.weight"], params[f"{layer}.bias"]
        height, width = ((size - 3) // 2 + 1 for size in features.shape[1:])
        result = np.empty((len(weight), height, width), object)
        for o, i, j in np.ndindex(result.shape):
            result[o, i, j] = (weight[o] * features[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]).sum() + bias[o]
        features = tanh(result)
    return (params["output.weight"] * features).sum((1, 2, 3)) + params["output.bias"]


def text(params, x, mask):
    length, pooled = len(x), []
    for width in (3, 5):
        weight, bias = params[f"conv{width}.weight"], params[f"conv{width}.bias"]
        total = 0
        for t in range(length):
            reads = [(k, t + k - width // 2) for k in range(width) if 0 <= t + k - width // 2 < length]
            total = total + mask[t] * tanh(sum(weight[:, :, k] @ (x[s] * mask[s]) for k, s in reads) + bias)
        pooled.append(total / mask.sum())
    return params["output.weight"] @ np.concatenate(pooled) + params["output.bias"]


FORWARD = {"quadratic": quadratic, "linear": linear, "mlp": mlp, "cnn": cnn, "text": text}
SHAPES = {
    "quadratic": ((3,), {"A": (3, 3), "b": (3,)}),
    "linear": ((3, 2), {"weight": (4, 6), "bias": (4,)}),
    "mlp": ((3,), {"0.weight": (4, 3), "0.bias": (4,), "1.weight": (3, 4), "1.bias": (3,)}),
    "cnn": (  # one side even: its last row is read by no window
        (8, 7),
        {
            "conv0.weight": (2, 1, 3, 3),
            "conv0.bias": (2,),
            "conv1.weight": (3, 2, 3, 3),
            "conv1.bias": (3,),
            "output.weight": (2, 3, 1, 1),
            "output.bias": (2,),
        },
    ),
    "text": (
        (5, 2),
        {
            "conv3.weight": (3, 2, 3),
            "conv3.bias": (3,),
            "conv5.weight": (3, 2, 5),
            "conv5.bias": (3,),
            "output.weight": (2, 6),
            "output.bias": (2,),
        },
    ),
}
MASK = np.array([[1.0, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


def problem(name):
    """Parameters, x, and the model for the oracle and with 50 digits: f(params, x) and forward(params, x)."""
    rng = np.random.default_rng(0)
    shape, sizes = SHAPES[name]
    params = {key: rng.standard_normal(size) / 1.5 for key, size in sizes.items()}
    masks = (MASK,) if name == "text" else ()

    def forward(params, x):
        return np.array([FORWARD[name](params, *rows) for rows in zip(x, *masks, strict=True)])

    x = rng.standard_normal((2, *shape))
    f = oracle.Model(name, params, *masks)
    classes = f(x).shape[1]
    return SimpleNamespace(params=params, x=x, f=f, forward=forward, classes=classes, labels=np.array([1, 0]) % classes)


# Losses and differences with 50 digits.


def log_p(logits):
    return logits - log(exp(logits).sum(1, keepdims=True))


def cross_entropy(logits, y):
    return -(y * log_p(logits)).sum(1)


def kl(p_logits, q_logits):
    return (exp(log_p(p_logits)) * (log_p(p_logits) - log_p(q_logits))).sum(1)


def squared(a, b):
    return ((a - b) ** 2).sum(1)


def sloped(function, x, direction, step=INNER):
    """The derivative of function(x) along the direction."""
    return (function(x + step * direction) - function(x - step * direction)) / (2 * step)


def bent(function, x, direction):
    """The second derivative of function(x) along the direction."""
    return (function(x + INNER * direction) - 2 * function(x) + function(x - INNER * direction)) / INNER**2


def gradients(function, x):
    """∂function/∂x: (B, n), or (B, n, C) of outputs (B, C). Samples do not mix, so all move at once."""
    units = np.eye(x[0].size).reshape(-1, *x.shape[1:]).astype(int)
    return np.stack([sloped(function, x, unit) for unit in units], axis=1)


def close(ours, exact, limit=LIMIT):
    exact = np.array(exact, float)
    return np.abs(ours - exact).max() <= limit * np.abs(exact).max()


def wrong_blocks(pulled, total, params, x):
    """Names of the blocks in which (x_bar, params_bar) is not the gradient of total(params, x), both with 50 digits."""
    x_bar, params_bar = pulled
    bars, blocks = {"x": x_bar, **params_bar}, {"x": x, **params}
    rng, point, wrong = np.random.default_rng(1), precise(blocks), []

    def along(name, direction, step):
        moved = point | {name: point[name] + step * direction}
        return total({key: value for key, value in moved.items() if key != "x"}, moved["x"])

    assert bars.keys() == blocks.keys()
    floor = 1e-13 * max(np.abs(bar).max() for bar in bars.values())  # of a block whose gradient is 0
    for name, bar in bars.items():
        direction = rng.choice([-1, 1], bar.shape) * rng.uniform(0.5, 1.5, bar.shape)
        exact = float((along(name, direction, STEP) - along(name, direction, -STEP)) / (2 * STEP))
        scale = max(abs(exact), np.abs(bar * direction).sum())
        if bar.shape != blocks[name].shape or abs((bar * direction).sum() - exact) > LIMIT * scale + floor:
            wrong.append(name)
    return wrong


# The test helper itself.


def test_a_gradient_wrong_in_one_entry_is_found():
    p = problem("mlp")
    x_bar, params_bar = p.f.vjp(p.x, np.ones((2, 3)))
    total = lambda params, x: p.forward(params, x).sum()  # noqa: E731
    assert wrong_blocks((x_bar, params_bar), total, p.params, p.x) == []
    for name, bar in {"x": x_bar, **params_bar}.items():
        changed = bar.copy()
        changed.flat[-1] *= 1 + 1e-8
        wrong = (changed, params_bar) if name == "x" else (x_bar, params_bar | {name: changed})
        assert wrong_blocks(wrong, total, p.params, p.x) == [name]


# Derivatives of functions of one number.


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_derivative_of_known_functions(order):
    known = {
        "exp sin": (lambda t: np.exp(np.sin(t)), [1, 1, 0, -3]),
        "even": (lambda t: np.cos(2 * t), [0, -4, 0, 16]),
        "pole at 1/3": (lambda t: 1 / (1 - 3 * t), [3, 18, 162, 1944]),
    }
    for name, (function, derivatives) in known.items():
        assert derivative(function, order) == pytest.approx(derivatives[order - 1], rel=1e-11, abs=1e-11), name


def test_derivative_keeps_the_form_of_trees():
    found = derivative(lambda t: (np.array([t, 2 * t * t]), {"a": np.exp(t) * np.ones((2, 1))}), order=2)
    np.testing.assert_allclose(found[0], [0, 4], atol=1e-13)
    np.testing.assert_allclose(found[1]["a"], np.ones((2, 1)), rtol=1e-13)


def test_derivative_shrinks_a_circle_that_holds_a_pole():
    function = lambda t: 1 / (0.1 - t)  # noqa: E731
    assert derivative(function, order=2, radius=0.25) == pytest.approx(2000, rel=1e-11)


@pytest.mark.parametrize("jump", [lambda t: np.sign(np.real(t)), lambda t: 1 / t])
def test_derivative_refuses_what_is_not_analytic(jump):
    with pytest.raises(ArithmeticError, match="not analytic"):
        derivative(lambda t: jump(t) * np.exp(t), order=2)


def test_derivative_bears_noise():
    """Of a function known to 1e-6 the second derivative is known to 2/radius² of that, and no circle is refused."""
    rng = np.random.default_rng(13)
    assert derivative(lambda t: np.exp(t) + 1e-6 * rng.standard_normal(), order=2) == pytest.approx(1, abs=1e-4)


def test_derivative_refuses_more_orders_than_points_can_tell_apart():
    with pytest.raises(ValueError, match="order: got 20"):
        derivative(np.exp, order=20)


def test_derivatives_do_not_nest():
    p = problem("mlp")
    loss = oracle.Loss(p.f, "cross_entropy", p.labels)
    with pytest.raises(TypeError, match="do not nest"):
        derivative(lambda t: values.hvp(loss, p.x + t, p.x))


# Models, losses, closures.


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
    h = 1e-5
    for function in (p.f, lambda x: p.f.vjp(x, c)[0]):
        along, across = (function(z + h * d) - function(z - h * d) for d in (v, 1j * v))
        np.testing.assert_allclose(across, 1j * along, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [1e-5, 1.0, 50.0, 2000.0])
def test_kl_divergence_keeps_its_digits(size):
    """Of arguments that differ by ε it is about ε²: to be known to u/ε, where the plain sum leaves u/ε²."""
    rng = np.random.default_rng(14)
    a, b = rng.standard_normal((2, 3, 4))
    p, q = (a, a + size * b) if size <= 1 else (size * a, size * b)
    assert close(values.kl_divergence(p, q), kl(precise(p), precise(q)), 2e-14 / min(size, 1))


def soft(rng, shape):
    return rng.uniform(0.1, 1, shape)  # they do not sum to 1: the formula does not need it


LOSSES = {
    "cross_entropy": (cross_entropy, soft),
    "squared_error": (squared, np.random.Generator.standard_normal),
    "kl_divergence": (kl, np.random.Generator.standard_normal),
    "reverse_kl_divergence": (lambda a, b: kl(b, a), np.random.Generator.standard_normal),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_their_gradients(name):
    exact, draw = LOSSES[name]
    rng = np.random.default_rng(4)
    a, b, c = rng.standard_normal((3, 4)), draw(rng, (3, 4)), rng.standard_normal(3)
    assert close(getattr(values, name)(a, b), exact(precise(a), precise(b)), 1e-14)
    bars = getattr(pullbacks, name)(a, b)(c)
    total = lambda params, x: (c * exact(x, params.get("b", precise(b)))).sum()  # noqa: E731
    both = isinstance(bars, tuple)
    pulled, params = ((bars[0], {"b": bars[1]}), {"b": b}) if both else ((bars, {}), {})
    assert wrong_blocks(pulled, total, params, a) == []


def test_entropy_and_its_gradient():
    a, c = np.random.default_rng(5).standard_normal((2, 3, 4))
    c = c[:, 0]
    exact = lambda x: -(exp(log_p(x)) * log_p(x)).sum(1)  # noqa: E731
    assert close(values.entropy(a), exact(precise(a)), 1e-14)
    assert wrong_blocks((pullbacks.entropy(a)(c), {}), lambda _, x: (c * exact(x)).sum(), {}, a) == []


def test_class_numbers_are_one_hot_labels_and_divergences_vanish_at_equal_logits():
    a, labels = np.random.default_rng(6).standard_normal((3, 4)), np.array([3, 0, 1])
    np.testing.assert_array_equal(values.cross_entropy(a, labels), values.cross_entropy(a, np.eye(4)[labels]))
    assert (values.kl_divergence(a, a) == 0).all()
    assert (values.kl_divergence(a, a + 1e-8) >= 0).all()


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
    behind = lambda x_bar: oracle.embed_vjp(params, tokens, x_bar)  # noqa: E731
    closure = oracle.Coordinates(loss, directions, oracle.embed(params, tokens), behind)

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


def test_norms_at_any_size():
    x = np.array([[3.0, 4.0], [3e-200, 4e-200], [3e200, 4e200], [0, 0]])
    np.testing.assert_allclose(values.l2_norm(x), [5, 5e-200, 5e200, 0], rtol=1e-15)
    np.testing.assert_allclose(values.unit(x), [[0.6, 0.8]] * 3 + [[0, 0]], rtol=1e-15)
    np.testing.assert_allclose(values.unit(x[:1] * np.ones((2, 1)), scope="tensor"), [[0.6, 0.8]] * 2 / np.sqrt(2))
    assert (values.unit(np.zeros((2, 3)), scope="tensor") == 0).all()


# Methods: each value against differences with 50 digits, each gradient against differences of that value.


def methods(p):
    """name -> (namespace -> the oracle's result, exact (params, x) -> (B,))."""
    rng = np.random.default_rng(9)
    y, loss = np.eye(p.classes)[p.labels], oracle.Loss(p.f, "cross_entropy", p.labels)
    noise, probes = 0.3 * rng.standard_normal((2, *p.x.shape)), rng.standard_normal((2, *p.x.shape))
    weights, class_probes = rng.uniform(0.5, 2, (2, p.classes)), rng.standard_normal((2, 2, p.classes))
    ones, start = np.ones_like(weights), rng.standard_normal(p.x.shape)
    vector = values.top_eigenpair(loss, p.x, start, steps=2)[1]  # held fixed; its value has a test of its own
    clean = precise(p.f(p.x))
    found = {}

    def method(name, ours):
        return lambda exact: found.update({name: (ours, exact)})

    def losses(params):
        return lambda x: cross_entropy(p.forward(params, x), y)

    def squares(params, x, outputs, weights, probes):
        rows = gradients(lambda x: outputs(p.forward(params, x)), x)  # (B, n, C)
        if probes is None:
            return ((rows**2).sum(1) * weights).sum(1)
        return sum(((rows * (eta * weights**0.5)[:, None]).sum(2) ** 2).sum(1) for eta in probes) / len(probes)

    norms = {
        "l2_squared": lambda g: (g**2).sum(1),
        "l2": lambda g: (g**2).sum(1) ** mpmath.mpf("0.5"),
        "l1": lambda g: abs(g).sum(1),
    }
    for norm, of in norms.items():
        method(f"input_gradient_penalty {norm}", lambda m, norm=norm: m.input_gradient_penalty(loss, p.x, norm=norm))(
            lambda params, x, of=of: of(gradients(losses(params), x))
        )
    for w, e in itertools.product((None, weights), (None, class_probes)):
        name = f"jacobian_penalty{' weights' if w is not None else ''}{' probes' if e is not None else ''}"
        method(name, lambda m, w=w, e=e: m.jacobian_penalty(p.f, p.x, weights=w, probes=e))(
            lambda params, x, w=w, e=e: squares(params, x, lambda f: f, ones if w is None else w, e)
        )
    method("softmax_weighted_penalty", lambda m: m.softmax_weighted_penalty(p.f, p.x))(
        lambda params, x: squares(params, x, log_p, exp(log_p(p.forward(params, x))), None)
    )
    method("noisy_loss", lambda m: m.noisy_loss(loss, p.x, noise))(
        lambda params, x: sum(losses(params)(x + z) for z in noise) / 2
    )
    for name in ("squared_error", "kl_divergence", "reverse_kl_divergence"):
        exact = LOSSES[name][0]
        method(f"consistency_loss {name}", lambda m, name=name: m.consistency_loss(getattr(m, name), p.f, p.x, noise))(
            lambda params, x, exact=exact: sum(exact(p.forward(params, x), p.forward(params, x + z)) for z in noise) / 2
        )
    method("laplacian", lambda m: m.laplacian(loss, p.x))(
        lambda params, x: sum(bent(losses(params), x, unit) for unit in np.eye(3, dtype=int))
    )
    method("laplacian probes", lambda m: m.laplacian(loss, p.x, probes=probes))(
        lambda params, x: sum(bent(losses(params), x, v) for v in probes) / 2
    )
    method("top_eigenpair", lambda m: m.top_eigenpair(loss, p.x, start, steps=2)[0])(
        lambda params, x: bent(losses(params), x, vector)
    )
    for how in ("finite_difference", "exact"):
        r = values.vat_perturbation(p.f, p.x, start, radius=0.5, how=how)
        method(f"vat_loss {how}", lambda m, how=how: m.vat_loss(p.f, p.x, start, radius=0.5, how=how))(
            lambda params, x, r=r: kl(clean, p.forward(params, x + r))
        )
    return found


METHODS = tuple(methods(problem("mlp")))


@pytest.mark.parametrize("name", METHODS)
def test_methods_and_their_gradients(name):
    p = problem("mlp")
    ours, exact = methods(p)[name]
    c = np.array([0.7, -1.3])
    assert close(ours(values), exact(precise(p.params), precise(p.x)))
    assert wrong_blocks(ours(pullbacks)(c), lambda *point: (c * exact(*point)).sum(), p.params, p.x) == []


@pytest.mark.parametrize("name", ["quadratic", "mlp"])
def test_hessian_vector_product_and_its_gradient(name):
    p = problem(name)
    rng = np.random.default_rng(10)
    v = rng.standard_normal(p.x.shape) * [[1], [10]]  # lengths that differ, between samples and between v and c
    c = rng.standard_normal(p.x.shape) * 1e4
    loss = oracle.Loss(p.f, "value", p.labels)

    def exact(params, x):  # cᵀHv, from both directions' sum and difference
        of = lambda x: p.forward(params, x)[:, 0]  # noqa: E731
        return ((bent(of, x, v + c) - bent(of, x, v - c)) / 4).sum()

    slopes = lambda x: gradients(lambda x: p.forward(precise(p.params), x)[:, 0], x)  # noqa: E731
    assert close(values.hvp(loss, p.x, v), sloped(slopes, precise(p.x), v))
    assert wrong_blocks(pullbacks.hvp(loss, p.x, v)(c), exact, p.params, p.x) == []


def test_a_divergence_may_be_given_in_either_form():
    p, noise = problem("mlp"), np.ones((1, 2, 3))
    plain = lambda a, b: lambda c: values.kl_divergence.vjp(a, b, c)  # noqa: E731
    forms = (values.kl_divergence, pullbacks.kl_divergence, plain)
    found = [pullbacks.consistency_loss(form, p.f, p.x, noise)(np.ones(2))[0] for form in forms]
    assert (found[0] == found[1]).all() and (found[0] == found[2]).all()


def test_hessian_is_symmetric_and_its_trace_the_laplacian():
    p = problem("mlp")
    loss = oracle.Loss(p.f, "cross_entropy", p.labels)
    h = values.hessian(loss, p.x)
    np.testing.assert_allclose(h, h.transpose(0, 2, 1), rtol=0, atol=1e-14)
    np.testing.assert_allclose(np.trace(h, axis1=1, axis2=2), values.laplacian(loss, p.x), rtol=1e-13)


def test_power_iteration_finds_the_eigenvalue_of_largest_magnitude():
    p = problem("quadratic")
    loss = oracle.Loss(p.f, "value", p.labels)
    spectrum, basis = np.linalg.eigh((p.params["A"] + p.params["A"].T) / 2)
    top = np.abs(spectrum).argmax()
    value, vector = values.top_eigenpair(loss, p.x, np.ones_like(p.x), steps=300)
    np.testing.assert_allclose(value, spectrum[top], rtol=1e-12)
    np.testing.assert_allclose(np.abs(vector @ basis[:, top]), 1, rtol=1e-12)


@pytest.mark.parametrize("how", ["finite_difference", "exact"])
def test_virtual_adversarial_directions(how):
    p = problem("mlp")
    start, params, x = np.random.default_rng(11).standard_normal(p.x.shape), precise(p.params), precise(p.x)
    clean, direction = p.forward(params, x), precise(start)
    divergence = lambda r: kl(clean, p.forward(params, x + r))  # noqa: E731
    for _ in range(3):
        direction = direction / ((direction**2).sum(1, keepdims=True) ** mpmath.mpf("0.5"))
        if how == "exact":
            direction = sloped(lambda r: gradients(divergence, r), 0 * x, direction)
        else:
            direction = gradients(divergence, mpmath.mpf(0.01) * direction)
    exact = direction / ((direction**2).sum(1, keepdims=True) ** mpmath.mpf("0.5")) / 2
    ours = values.vat_perturbation(p.f, p.x, start, radius=0.5, steps=3, how=how)
    assert close(ours, exact)


@pytest.mark.parametrize("norm", ["l2", "linf", "raw"])
@pytest.mark.parametrize("scope", ["sample", "tensor"])
def test_fast_gradient_method(norm, scope):
    p = problem("mlp")
    g = gradients(lambda x: cross_entropy(p.forward(precise(p.params), x), np.eye(3)[p.labels]), precise(p.x))
    squares = (g**2).sum(1, keepdims=True) if scope == "sample" else (g**2).sum()
    exact = {"l2": lambda: g / squares ** mpmath.mpf("0.5"), "linf": lambda: np.sign(g.astype(float)), "raw": lambda: g}
    loss = oracle.Loss(p.f, "cross_entropy", p.labels)
    assert close(values.fgm(loss, p.x, radius=0.5, norm=norm, scope=scope), exact[norm]() / 2)


def zero_gradient():
    """A network that ignores x: every gradient in x is 0."""
    p = problem("mlp")
    f = oracle.Model("mlp", p.params | {"0.weight": np.zeros((4, 3))})
    return p, f, oracle.Loss(f, "cross_entropy", p.labels)


def test_zero_gradients_give_zero_perturbations_and_finite_penalties():
    p, f, loss = zero_gradient()
    for norm in ("l2", "linf", "raw"):
        assert (values.fgm(loss, p.x, radius=1.0, norm=norm) == 0).all()
    for how in ("finite_difference", "exact"):
        assert (values.vat_perturbation(f, p.x, p.x, radius=1.0, how=how) == 0).all()
        assert (values.vat_loss(f, p.x, p.x, radius=1.0, how=how) == 0).all()
    for norm in ("l2_squared", "l2", "l1"):
        assert (values.input_gradient_penalty(loss, p.x, norm=norm) == 0).all()
        x_bar, params_bar = pullbacks.input_gradient_penalty(loss, p.x, norm=norm)(np.ones(2))
        assert all((bar == 0).all() for bar in (x_bar, *params_bar.values()))


def test_perturbations_are_held_fixed():
    p = problem("mlp")
    loss = oracle.Loss(p.f, "cross_entropy", p.labels)
    for pullback in (
        pullbacks.fgm(loss, p.x, radius=0.5),
        pullbacks.vat_perturbation(p.f, p.x, p.x, radius=0.5),
        pullbacks.top_eigenpair(loss, p.x, p.x, steps=2)[1],
    ):
        x_bar, params_bar = pullback(np.ones_like(p.x))
        assert x_bar.shape == p.x.shape
        assert {name: bar.shape for name, bar in params_bar.items()} == {n: a.shape for n, a in p.params.items()}
        assert all((bar == 0).all() for bar in (x_bar, *params_bar.values()))


def test_closed_forms_can_be_differentiated_from_outside():
    """What claims do: derivatives of the oracle's own values and gradients, in the size of the noise or in x."""
    p, rng = problem("mlp"), np.random.default_rng(12)
    loss, z = oracle.Loss(p.f, "cross_entropy", p.labels), rng.standard_normal((1, *p.x.shape))
    c = np.array([0.7, -1.3])
    bent_once = derivative(lambda t: pullbacks.noisy_loss(loss, p.x, t * z)(c), order=2)
    by_curvature = pullbacks.laplacian(loss, p.x, probes=z)(c)
    for name, bar in bent_once[1].items():
        np.testing.assert_allclose(bar, by_curvature[1][name], rtol=0, atol=1e-12)
    for norm in ("l2_squared", "l2", "l1"):
        slope = derivative(lambda t, n=norm: values.input_gradient_penalty(loss, p.x + t * z[0], norm=n))
        x_bar = pullbacks.input_gradient_penalty(loss, p.x, norm=norm)(np.ones(2))[0]
        np.testing.assert_allclose(slope, (x_bar * z[0]).sum(1), rtol=1e-12)
