"""The oracle against mpmath: forward passes alone, written out with 50 digits, and differences of them.

Nothing is shared with the oracle but the formulas. A gradient is compared block by block (x and each parameter) along
one random direction that moves every entry: an entry wrong by the relative amount ε moves the number by about ε.
"""

import inspect
import itertools
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest

from equivalence import bert as bert_parts
from equivalence import oracle
from equivalence.bert import Size
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


tanh, exp, log, erf = (np.frompyfunc(function, 1, 1) for function in (mpmath.tanh, mpmath.exp, mpmath.log, mpmath.erf))
softplus = np.frompyfunc(lambda x: mpmath.log1p(mpmath.exp(x)), 1, 1)
relu = np.frompyfunc(lambda x: max(x, 0), 1, 1)


def precise(tree):
    """Arrays of floating-point numbers with 50 digits."""
    if isinstance(tree, dict):
        return {name: precise(value) for name, value in tree.items()}
    return np.frompyfunc(mpmath.mpf, 1, 1)(tree)


# The models, one sample at a time.


def quadratic(params, x):
    return np.array([x @ params["A"] @ x / 2 + params["b"] @ x])


def cubic(params, x):
    return quadratic(params, x) + ((params["T"] @ x) @ x) @ x / 6


def linear(params, x):
    return params["weight"] @ x.ravel() + params["bias"]


def network(activation):
    def model(params, x):
        hidden = activation(params["0.weight"] @ x + params["0.bias"])
        return params["1.weight"] @ hidden + params["1.bias"]

    return model


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


def normed(params, name, x, epsilon="1e-5"):
    mean = x.sum() / len(x)
    deviation = (((x - mean) ** 2).sum() / len(x) + mpmath.mpf(epsilon)) ** mpmath.mpf("0.5")
    return (x - mean) / deviation * params[f"{name}.weight"] + params[f"{name}.bias"]


def attention(params, x, mask):
    """Head by head and position by position."""
    result = np.empty_like(x)
    maps = [
        (params[f"attention.{name}.weight"], params[f"attention.{name}.bias"]) for name in ("query", "key", "value")
    ]
    for t in range(len(x)):
        mixed = []
        for head in range(2):
            query, key, value = ([weight[head] @ row + bias[head] for row in x] for weight, bias in maps)
            share = mask * exp(np.array([query[t] @ k for k in key]) / mpmath.sqrt(len(query[t])))
            mixed.append(share @ np.array(value) / share.sum())
        result[t] = params["attention.output.weight"] @ np.concatenate(mixed) + params["attention.output.bias"]
    return result


def gelu(x):
    cubed = x + mpmath.mpf("0.044715") * x**3
    return x / 2 * (1 + tanh(mpmath.sqrt(2 / mpmath.pi) * cubed))


def transformer(params, x, mask):
    x = x + attention(params, np.array([normed(params, "norm0", row) for row in x]), mask)
    inner = [params["mlp0.weight"] @ normed(params, "norm1", row) + params["mlp0.bias"] for row in x]
    x = x + np.array([params["mlp1.weight"] @ gelu(row) + params["mlp1.bias"] for row in inner])
    return params["output.weight"] @ (mask @ x / mask.sum()) + params["output.bias"]


def rows(params, name, x, activation=lambda row: row):
    """An affine map of each position."""
    return np.array([activation(params[f"{name}.weight"] @ row + params[f"{name}.bias"]) for row in x])


def bert(params, x, mask):
    """One layer, two heads."""
    positions, types = (params[f"embeddings.{name}_embeddings.weight"] for name in ("position", "token_type"))
    norm = lambda name, x: np.array([normed(params, name, row, "1e-12") for row in x])  # noqa: E731
    x, layer = norm("embeddings.LayerNorm", x + positions[: len(x)] + types[0]), "encoder.layer.0"
    projected = [rows(params, f"{layer}.attention.self.{part}", x) for part in ("query", "key", "value")]
    heads = [mixed(*(part[:, columns] for part in projected), mask) for columns in (slice(0, 2), slice(2, 4))]
    attended = rows(params, f"{layer}.attention.output.dense", np.concatenate(heads, axis=1))
    x = norm(f"{layer}.attention.output.LayerNorm", x + attended)
    inner = rows(params, f"{layer}.intermediate.dense", x, lambda row: row * (1 + erf(row / mpmath.sqrt(2))) / 2)
    x = norm(f"{layer}.output.LayerNorm", x + rows(params, f"{layer}.output.dense", inner))
    return rows(params, "classifier", rows(params, "pooler.dense", x[:1], tanh))[0]


def mixed(query, key, value, mask):
    """One head's mean of the values at real positions, for each position."""
    shares = [mask * exp(np.array([q @ k for k in key]) / mpmath.sqrt(len(q))) for q in query]
    return np.array([share @ value / share.sum() for share in shares])


FORWARD = {
    "quadratic": quadratic,
    "cubic": cubic,
    "linear": linear,
    "mlp": network(tanh),
    "softplus_mlp": network(softplus),
    "relu_mlp": network(relu),
    "cnn": cnn,
    "text": text,
    "transformer": transformer,
    "bert": bert,
}


def bert_shapes():
    """Of a layer with two heads of width 2, all parameters but the table of words: x is what comes out of it."""
    size = Size(vocabulary=1, width=4, hidden=3, layers=1, positions=6)
    shapes = bert_parts.shapes(size) | bert_parts.affine("classifier", 2, 4)
    return {name: shape for name, shape in shapes.items() if "word" not in name}


DENSE = {"0.weight": (4, 3), "0.bias": (4,), "1.weight": (3, 4), "1.bias": (3,)}
SHAPES = {
    "quadratic": ((3,), {"A": (3, 3), "b": (3,)}),
    "cubic": ((3,), {"A": (3, 3), "b": (3,), "T": (3, 3, 3)}),
    "linear": ((3, 2), {"weight": (4, 6), "bias": (4,)}),
    "mlp": ((3,), DENSE),
    "softplus_mlp": ((3,), DENSE),
    "relu_mlp": ((3,), DENSE),
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
    "transformer": (
        (5, 4),
        {
            **{f"{name}.{part}": (4,) for name in ("norm0", "norm1") for part in ("weight", "bias")},
            **{f"attention.{name}.weight": (2, 2, 4) for name in ("query", "key", "value")},
            **{f"attention.{name}.bias": (2, 2) for name in ("query", "key", "value")},
            "attention.output.weight": (4, 4),
            "attention.output.bias": (4,),
            "mlp0.weight": (3, 4),
            "mlp0.bias": (3,),
            "mlp1.weight": (4, 3),
            "mlp1.bias": (4,),
            "output.weight": (2, 4),
            "output.bias": (2,),
        },
    ),
    "bert": ((5, 4), bert_shapes()),
}
MASKED, OPTIONS = ("text", "transformer", "bert"), {"bert": {"heads": 2}}
MASK = np.array([[1.0, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


def problem(name):
    """Parameters, x, and the model for the oracle and with 50 digits: f(params, x) and forward(params, x)."""
    rng = np.random.default_rng(0)
    shape, sizes = SHAPES[name]
    params = {key: rng.standard_normal(size) / 1.5 for key, size in sizes.items()}
    masks = (MASK,) if name in MASKED else ()

    def forward(params, x):
        return np.array([FORWARD[name](params, *rows) for rows in zip(x, *masks, strict=True)])

    x = rng.standard_normal((2, *shape))
    f = oracle.Model(name, params, *masks, **OPTIONS.get(name, {}))
    classes = f(x).shape[1]
    return SimpleNamespace(params=params, x=x, f=f, forward=forward, classes=classes, labels=np.array([1, 0]) % classes)


# Losses and differences with 50 digits.


def log_p(logits):
    return logits - log(exp(logits).sum(1, keepdims=True))


def cross_entropy(logits, y):
    return -(y * log_p(logits)).sum(1)


def kl(p_logits, q_logits):
    return (exp(log_p(p_logits)) * (log_p(p_logits) - log_p(q_logits))).sum(1)


def entropy(logits):
    return -(exp(log_p(logits)) * log_p(logits)).sum(1)


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


HALF = mpmath.mpf("0.5")


def lengths(rows):
    """Euclidean norms, (..., n) -> (..., 1)."""
    return (rows**2).sum(-1, keepdims=True) ** HALF


def pointed(rows, norm):
    """The steepest direction in the norm's ball; no two components tie. (B, n) -> (B, n)."""
    largest = abs(rows) == abs(rows).max(1, keepdims=True)
    signs = np.sign(rows.astype(float)).astype(int)
    return {
        "l2": lambda: rows / lengths(rows),
        "linf": lambda: signs,
        "l1": lambda: signs * largest,
        "raw": lambda: rows,
    }[norm]()


def nearest(rows, radius, norm):
    """The point of the ball nearest to each row; for "l1" the threshold is found by bisection. (B, n) -> (B, n)."""
    if norm == "linf":
        return np.clip(rows, -radius, radius)
    if norm == "l2":
        return rows * np.array([[min(1, radius / length)] for length in lengths(rows)[:, 0]])
    signs, found = np.sign(rows.astype(float)).astype(int), []
    for sizes in abs(rows):
        low, high = mpmath.mpf(0), sizes.max() * (sizes.sum() > radius)
        for _ in range(160):
            middle = (low + high) / 2
            low, high = (middle, high) if np.maximum(sizes - middle, 0).sum() > radius else (low, middle)
        found.append(np.maximum(sizes - high, 0))
    return signs * found


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


def wrong_params(params_bar, total, params):
    """`wrong_blocks` where there is no x."""
    nothing = np.zeros(1)
    return wrong_blocks((nothing, params_bar), lambda params, _: total(params), params, nothing)


def all_zero(pulled, x, params):
    """Whether (x_bar, params_bar) is 0 and has the shapes of x and the parameters."""
    x_bar, params_bar = pulled
    shapes = {name: bar.shape for name, bar in params_bar.items()} == {name: a.shape for name, a in params.items()}
    return x_bar.shape == x.shape and shapes and all((bar == 0).all() for bar in (x_bar, *params_bar.values()))


# The test helpers themselves.


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
    with pytest.raises(ValueError, match="order: got 28"):
        derivative(np.exp, order=28)


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
    h = 1e-6
    for function in (p.f, lambda x: p.f.vjp(x, c)[0]):
        along, across = (function(z + h * d) - function(z - h * d) for d in (v, 1j * v))
        np.testing.assert_allclose(across, 1j * along, rtol=0, atol=1e-14)


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
    assert close(values.entropy(a), entropy(precise(a)), 1e-14)
    assert wrong_blocks((pullbacks.entropy(a)(c), {}), lambda _, x: (c * entropy(x)).sum(), {}, a) == []


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


def text_problem():
    """Tokens that repeat within a sample and between samples, and parameters with their table."""
    p = problem("text")
    tokens = np.array([[0, 2, 1, 2, 2], [3, 0, 3, 1, 1]])
    table = np.random.default_rng(8).standard_normal((5, 2))  # the last token does not occur
    return p, tokens, table, {"embedding.weight": table, **p.params}


class OfTable:
    """The cross-entropy as a function of the table alone."""

    def __init__(self):
        self.problem, tokens, self.table, self.params = text_problem()
        self.closure = oracle.OfParams("text", "cross_entropy", self.problem.labels, tokens=tokens, mask=MASK)

    def __call__(self, table):
        return self.closure(self.params | {"embedding.weight": table})

    def vjp(self, table, cotangent):
        params_bar = self.closure.vjp(self.params | {"embedding.weight": table}, cotangent)
        return params_bar.pop("embedding.weight"), params_bar


CLOSURES = (  # each loss somewhere, each model behind parameters
    ("quadratic", "value"),
    ("linear", "squared_error"),
    ("mlp", "cross_entropy"),
    ("cnn", "cross_entropy"),
    ("text", "value"),
    ("text tokens", "cross_entropy"),
    ("transformer", "cross_entropy"),
    ("bert", "cross_entropy"),
)


def of_params(name, loss):
    """The oracle's closure, parameters, and the loss with 50 digits."""
    p, tokens, _, params = text_problem()
    if name != "text tokens":
        p, tokens = problem(name), None
        params = p.params
    targets = np.ones((2, p.classes)) if loss == "squared_error" else p.labels
    model = name.split()[0]
    mask, options = MASK if model in MASKED else None, OPTIONS.get(model, {})
    x = None if tokens is not None else p.x
    closure = oracle.OfParams(model, loss, targets, x=x, tokens=tokens, mask=mask, **options)

    def exact(params):
        outputs = p.forward(params, precise(p.x) if tokens is None else params["embedding.weight"][tokens])
        if loss == "value":
            return outputs[:, 0]
        return (
            squared(outputs, targets) if loss == "squared_error" else cross_entropy(outputs, np.eye(p.classes)[targets])
        )

    return closure, params, exact


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


def test_norms_at_any_size():
    x = np.array([[3.0, 4.0], [3e-200, 4e-200], [3e200, 4e200], [0, 0]])
    np.testing.assert_allclose(values.l2_norm(x), [5, 5e-200, 5e200, 0], rtol=1e-15)
    np.testing.assert_allclose(values.unit(x), [[0.6, 0.8]] * 3 + [[0, 0]], rtol=1e-15)
    np.testing.assert_allclose(values.unit(x[:1] * np.ones((2, 1)), scope="tensor"), [[0.6, 0.8]] * 2 / np.sqrt(2))
    assert (values.unit(np.zeros((2, 3)), scope="tensor") == 0).all()


SIZES = {  # of each row, (B, n) -> (B,)
    "l2": lambda rows: np.sqrt((rows**2).sum(1)),
    "linf": lambda rows: np.abs(rows).max(1),
    "l1": lambda rows: np.abs(rows).sum(1),
}
DUAL = {"l2": "l2", "linf": "l1", "l1": "linf"}


@pytest.mark.parametrize("norm", SIZES)
@pytest.mark.parametrize("scope", ["sample", "tensor"])
def test_steepest_direction_reaches_the_dual_norm(norm, scope):
    """No vector of the ball has a larger inner product than the dual norm: one that reaches it is the steepest."""
    x = np.random.default_rng(15).standard_normal((3, 4, 5))
    x[1, 2, 3] = x[1, 0, 0] = 4  # tied for the largest, in its sample and in the tensor
    x[1, 1, 1] = -4
    ours, rows = (
        array.reshape(3 if scope == "sample" else 1, -1) for array in (values.steepest(x, norm=norm, scope=scope), x)
    )
    np.testing.assert_allclose(SIZES[norm](ours), 1, rtol=1e-15)
    np.testing.assert_allclose((ours * rows).sum(1), SIZES[DUAL[norm]](rows), rtol=1e-14)
    assert (values.steepest(0 * x, norm=norm, scope=scope) == 0).all()


def test_steepest_directions_where_they_are_not_unique():
    x = np.array([[3.0, -3, 1], [0, 2, 0]])
    np.testing.assert_array_equal(values.steepest(x, norm="l1"), [[0.5, -0.5, 0], [0, 1, 0]])
    np.testing.assert_array_equal(values.steepest(x, norm="l1", scope="tensor"), [[0.5, -0.5, 0], [0, 0, 0]])
    np.testing.assert_array_equal(values.steepest(x, norm="linf"), [[1, -1, 1], [0, 1, 0]])
    assert values.steepest(x, norm="raw") is x


@pytest.mark.parametrize("norm", SIZES)
@pytest.mark.parametrize("radius", [0.0, 0.7, 3.0])
def test_projection_is_the_nearest_point(norm, radius):
    """The point p of a convex set nearest to x is the one with (x - p)·(y - p) ≤ 0 for every y of the set.

    Over the ball the largest (x - p)·y is radius times the dual norm of x - p.
    """
    x = np.random.default_rng(16).standard_normal((5, 2, 3)) * np.array([0.05, 0.5, 1, 3, 30])[:, None, None]
    x[2, 0] = x[2, 1, 0]  # ties
    p, rows = values.project(x, radius=radius, norm=norm).reshape(5, -1), x.reshape(5, -1)
    assert (SIZES[norm](p) <= radius * (1 + 1e-15)).all()
    left = radius * SIZES[DUAL[norm]](rows - p) - ((rows - p) * p).sum(1)
    assert (left <= 1e-14 * SIZES["l1"](rows)).all()
    inside = SIZES[norm](rows) <= radius
    assert (p[inside] == rows[inside]).all() and inside.any() == (radius > 0) and not inside.all()
    assert close(p, nearest(precise(rows), radius, norm), 1e-15)


def test_projection_at_any_size():
    x = np.array([[3.0, 4.0], [3e-200, 4e-200], [3e200, 4e200], [0, 0]])
    np.testing.assert_allclose(
        values.project(x, radius=1.0), [[0.6, 0.8], [3e-200, 4e-200], [0.6, 0.8], [0, 0]], rtol=1e-15
    )
    np.testing.assert_allclose(values.project(x, radius=1e-200)[:2], [[6e-201, 8e-201]] * 2, rtol=1e-15)
    np.testing.assert_allclose(values.project(x, radius=1.0, norm="l1"), [[0, 1], x[1], [0, 1], [0, 0]], rtol=1e-15)


@pytest.mark.parametrize("norm", SIZES)
def test_projection_refuses_complex_numbers(norm):
    for x, radius in ((np.ones((1, 2)) + 0j, 1.0), (np.ones((1, 2)), 1j)):
        with pytest.raises(TypeError, match="a projection is not analytic"):
            values.project(x, radius=radius, norm=norm)


# Methods: each value against differences with 50 digits, each gradient against differences of that value.


def methods(p):
    """name -> (namespace -> the oracle's result, exact (params, x) -> (B,))."""
    rng = np.random.default_rng(9)
    y, loss = np.eye(p.classes)[p.labels], oracle.Loss(p.f, "cross_entropy", p.labels)
    noise, probes = 0.3 * rng.standard_normal((2, *p.x.shape)), rng.standard_normal((2, *p.x.shape))
    critic, mix = oracle.Loss(p.f, "value", p.labels), np.array([0.3, 0.9])
    weights, class_probes = rng.uniform(0.5, 2, (2, p.classes)), rng.standard_normal((2, 2, p.classes))
    ones, start = np.ones_like(weights), rng.standard_normal(p.x.shape)
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
        method(
            f"input_gradient_penalty {norm} forward",
            lambda m, norm=norm: m.input_gradient_penalty(loss, p.x, norm=norm, how="forward_over_reverse"),
        )(found[f"input_gradient_penalty {norm}"][1])
    for w, e in itertools.product((None, weights), (None, class_probes)):
        name = f"jacobian_penalty{' weights' if w is not None else ''}{' probes' if e is not None else ''}"
        method(name, lambda m, w=w, e=e: m.jacobian_penalty(p.f, p.x, weights=w, probes=e))(
            lambda params, x, w=w, e=e: squares(params, x, lambda f: f, ones if w is None else w, e)
        )
    for e in (None, class_probes):
        end = "" if e is None else " probes"
        method(
            f"tikhonov_penalty squared{end}", lambda m, e=e: m.tikhonov_penalty("squared_error", p.f, p.x, probes=e)
        )(lambda params, x, e=e: 2 * squares(params, x, lambda f: f, ones, e))
        method(f"tikhonov_penalty kl{end}", lambda m, e=e: m.tikhonov_penalty("kl_divergence", p.f, p.x, probes=e))(
            lambda params, x, e=e: squares(params, x, log_p, exp(log_p(p.forward(params, x))), e)
        )
    for name, weight, target in (("", mix, 0.2), (" R1", np.ones(2), 0.0)):
        method(
            f"wgan_gradient_penalty{name}",
            lambda m, w=weight, t=target: m.wgan_gradient_penalty(critic, p.x, start, w, target=t),
        )(
            lambda params, x, w=weight[:, None], t=target: (
                (lengths(gradients(lambda x: p.forward(params, x)[:, 0], w * x + (1 - w) * start))[:, 0] - t) ** 2
            )
        )
    method("noisy_loss", lambda m: m.noisy_loss(loss, p.x, noise))(
        lambda params, x: sum(losses(params)(x + z) for z in noise) / 2
    )
    method("dropout_loss", lambda m: m.dropout_loss(loss, p.x, 1 + noise))(
        lambda params, x: sum(losses(params)(x * mask) for mask in 1 + noise) / 2
    )
    for weight in (0.5, 0.0):
        method(f"adversarial_loss {weight}", lambda m, w=weight: m.adversarial_loss(loss, p.x, start, clean_weight=w))(
            lambda params, x, w=weight: w * losses(params)(x) + (1 - w) * losses(params)(x + start)
        )
    for name in ("squared_error", "kl_divergence", "reverse_kl_divergence"):
        exact = LOSSES[name][0]
        method(f"consistency_loss {name}", lambda m, name=name: m.consistency_loss(getattr(m, name), p.f, p.x, noise))(
            lambda params, x, exact=exact: sum(exact(p.forward(params, x), p.forward(params, x + z)) for z in noise) / 2
        )
    method("laplacian", lambda m: m.laplacian(loss, p.x))(
        lambda params, x: sum(bent(losses(params), x, unit) for unit in np.eye(3, dtype=int))
    )
    method("laplacian forward", lambda m: m.laplacian(loss, p.x, how="forward"))(found["laplacian"][1])
    method("laplacian probes", lambda m: m.laplacian(loss, p.x, probes=probes))(
        lambda params, x: sum(bent(losses(params), x, v) for v in probes) / 2
    )
    for how in ("power", "lanczos"):
        vector = values.top_eigenpair(loss, p.x, start, steps=1, how=how)[1]  # held fixed; it has tests of its own
        method(f"top_eigenpair {how}", lambda m, how=how: m.top_eigenpair(loss, p.x, start, steps=1, how=how)[0])(
            lambda params, x, vector=vector: bent(losses(params), x, vector)
        )
    for how in ("fisher", "finite_difference", "exact"):
        r = values.vat_perturbation(p.f, p.x, start, radius=0.5, how=how)
        method(f"vat_loss {how}", lambda m, how=how: m.vat_loss(p.f, p.x, start, radius=0.5, how=how))(
            lambda params, x, r=r: kl(clean, p.forward(params, x + r))
        )
    method("vat_loss entropy", lambda m: m.vat_loss(p.f, p.x, start, radius=0.5, how="exact", entropy_weight=0.7))(
        lambda params, x, r=r: kl(clean, p.forward(params, x + r)) + 0.7 * entropy(p.forward(params, x))
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


VALUES_ONLY = {
    "log_softmax",
    "softmax",
    "l2_norm",
    "unit",
    "steepest",
    "project",
    "smooth_labels",
    "jacobian",
    "hessian",
}


SHARING = {"with_loss", "with_outputs"}  # save a forward pass, and change no number


def test_pullbacks_have_the_parameters_of_the_values():
    assert vars(values).keys() - vars(pullbacks).keys() == VALUES_ONLY
    for name in vars(values).keys() - VALUES_ONLY - LOSSES.keys() - {"entropy"}:  # those are of arrays, all in one form
        got, wanted = (inspect.signature(getattr(space, name)).parameters for space in (pullbacks, values))
        named = {key: value.default for key, value in got.items() if value.kind is not value.VAR_KEYWORD}
        assert named.items() <= {key: value.default for key, value in wanted.items()}.items(), name
        assert len(named) < len(got) or named.keys() == wanted.keys() - SHARING, name


@pytest.mark.parametrize("norm", ["l2_squared", "l2", "l1"])
def test_gradient_of_a_gradient_penalty_by_a_difference(norm):
    """It is that of the loss's difference along ∂N/∂g, which is held fixed."""
    p, xi, c = problem("mlp"), 0.02, np.array([0.7, -1.3])
    losses = lambda params, x: cross_entropy(p.forward(params, x), np.eye(3)[p.labels])  # noqa: E731
    g = gradients(lambda x: losses(precise(p.params), x), precise(p.x))
    d = {"l2_squared": 2 * g, "l2": g / lengths(g), "l1": pointed(g, "linf")}[norm]
    length = lengths(d)
    step, weight = xi * d / length, c * length[:, 0] / (2 * xi)
    total = lambda params, x: (weight * (losses(params, x + step) - losses(params, x - step))).sum()  # noqa: E731
    loss = oracle.Loss(p.f, "cross_entropy", p.labels)

    def ours(**options):
        return pullbacks.input_gradient_penalty(loss, p.x, norm=norm, **options)(c)[1]["0.weight"]

    found = pullbacks.input_gradient_penalty(loss, p.x, norm=norm, how="finite_difference", xi=xi)(c)
    assert wrong_blocks(found, total, p.params, p.x) == []
    coarse, fine = (np.abs(ours(how="finite_difference", xi=xi) - ours()).max() for xi in (1e-2, 5e-3))
    assert coarse / fine == pytest.approx(4, rel=0.01)  # its error is O(ξ²)


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


def curved(matrix, batch=2):
    """½xᵀAx, whose Hessian is A; x and a start (batch, n)."""
    rng, n = np.random.default_rng(17), len(matrix)
    f = oracle.Model("quadratic", {"A": matrix, "b": rng.standard_normal(n)})
    return oracle.Loss(f, "value", np.zeros(batch, int)), *rng.standard_normal((2, batch, n))


def symmetric(spectrum):
    basis = np.linalg.qr(np.random.default_rng(18).standard_normal((len(spectrum), len(spectrum))))[0]
    return basis @ np.diag(spectrum) @ basis.T


@pytest.mark.parametrize("spectrum", [[4, 2, 1, -0.5], [-4, 2, 1, 0.5], [3, -1e-3, 1e-4, 1e-5]])
@pytest.mark.parametrize("extra", [0, 2])  # steps beyond the last: there is no direction left
def test_lanczos_is_exact_once_it_spans_the_space(spectrum, extra):
    matrix = symmetric(spectrum)
    loss, x, start = curved(matrix)
    exact, vectors = np.linalg.eigh(matrix)
    top = np.abs(exact).argmax()
    value, vector = values.top_eigenpair(loss, x, start, steps=len(spectrum) - 1 + extra, how="lanczos")
    np.testing.assert_allclose(value, exact[top], rtol=1e-13)
    towards = np.sign(start @ vectors[:, top])[:, None] * vectors[:, top]
    np.testing.assert_allclose(vector, towards, rtol=0, atol=1e-13)


@pytest.mark.parametrize("steps", [0, 1, 5, 8])
def test_lanczos_finds_the_best_vector_of_the_krylov_space(steps):
    """Against an orthonormal basis of start, H·start, … by QR, and H projected on it."""
    matrix = symmetric(np.linspace(-4, 3, 12))
    loss, x, start = curved(matrix)
    value, vector = values.top_eigenpair(loss, x, start, steps=steps, how="lanczos")
    for b in range(2):
        q = np.linalg.qr(np.stack([np.linalg.matrix_power(matrix, k) @ start[b] for k in range(steps + 1)], 1))[0]
        ritz, vectors = np.linalg.eigh(q.T @ matrix @ q)
        top = q @ vectors[:, np.abs(ritz).argmax()]
        np.testing.assert_allclose(value[b], ritz[np.abs(ritz).argmax()], rtol=1e-9)  # powers are nearly parallel
        np.testing.assert_allclose(vector[b], np.sign(top @ start[b]) * top, rtol=0, atol=1e-9)


def test_lanczos_does_not_lose_its_orthogonality():
    """Converged long before the last step, where Lanczos without reorthogonalising finds copies and drifts."""
    matrix = symmetric(2.0 ** -np.arange(30) * (-1) ** np.arange(30))
    loss, x, start = curved(matrix)
    value, vector = values.top_eigenpair(loss, x, start, steps=29, how="lanczos")
    np.testing.assert_allclose(value, 1, rtol=1e-14)
    np.testing.assert_allclose(vector @ matrix, vector, rtol=0, atol=1e-14)


@pytest.mark.parametrize("matrix", [np.eye(4), -2 * np.eye(4), np.zeros((4, 4))])
def test_lanczos_breaks_down_where_every_direction_is_an_eigenvector(matrix):
    loss, x, start = curved(matrix)
    value, vector = values.top_eigenpair(loss, x, start, steps=3, how="lanczos")
    np.testing.assert_allclose(value, matrix[0, 0], rtol=1e-15)
    np.testing.assert_allclose(vector, values.unit(start), rtol=0, atol=1e-15)


def test_lanczos_treats_each_sample_by_itself():
    """One sample's space is exhausted at once, another's is not; and Hessians differ."""
    matrix = symmetric([4, 2, 1, -0.5])
    loss, x, start = curved(matrix)
    start[0] = np.linalg.eigh(matrix)[1][:, 1]
    value, _ = values.top_eigenpair(loss, x, start, steps=3, how="lanczos")
    np.testing.assert_allclose(value, [1, 4], rtol=1e-13)
    p = problem("mlp")
    loss = oracle.Loss(p.f, "cross_entropy", p.labels)
    spectra = np.linalg.eigvalsh(values.hessian(loss, p.x))
    value, _ = values.top_eigenpair(loss, p.x, np.ones_like(p.x), steps=2, how="lanczos")
    np.testing.assert_allclose(value, spectra[[0, 1], np.abs(spectra).argmax(1)], rtol=1e-12)


@pytest.mark.parametrize("how", ["fisher", "finite_difference", "exact"])
def test_virtual_adversarial_directions(how):
    """The Fisher product against the divergence's own second derivative."""
    p = problem("mlp")
    start, params, x = np.random.default_rng(11).standard_normal(p.x.shape), precise(p.params), precise(p.x)
    clean, direction = p.forward(params, x), precise(start)
    divergence = lambda r: kl(clean, p.forward(params, x + r))  # noqa: E731
    for _ in range(3):
        direction = direction / ((direction**2).sum(1, keepdims=True) ** mpmath.mpf("0.5"))
        if how != "finite_difference":
            direction = sloped(lambda r: gradients(divergence, r), 0 * x, direction)
        else:
            direction = gradients(divergence, mpmath.mpf(0.01) * direction)
    exact = direction / ((direction**2).sum(1, keepdims=True) ** mpmath.mpf("0.5")) / 2
    ours = values.vat_perturbation(p.f, p.x, start, radius=0.5, steps=3, how=how, xi=0.01)
    assert close(ours, exact)


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


# Labels, embeddings, weights, parameters.


@pytest.mark.parametrize(
    "labels", [np.array([3, 0, 1]), np.array([[0.1, 0.2, 0.3, 0.4], [0, 0, 1, 0], [0.5, 0.5, 0, 0]])]
)
def test_smoothed_labels_are_labels_redrawn(labels):
    """Their cross-entropy is its expectation where a label is redrawn uniformly with probability s."""
    logits, s = np.random.default_rng(19).standard_normal((3, 4)), 0.3
    redrawn = np.mean([values.cross_entropy(logits, np.full(3, i)) for i in range(4)], axis=0)
    ours = values.smooth_labels(labels, smoothing=s, like=logits)
    expected = (1 - s) * values.cross_entropy(logits, labels) + s * redrawn
    np.testing.assert_allclose(values.cross_entropy(logits, ours), expected, rtol=1e-14)
    np.testing.assert_allclose(ours.sum(1), 1, rtol=1e-15)
    np.testing.assert_array_equal(values.smooth_labels(labels, smoothing=1.0, like=logits), np.full((3, 4), 0.25))


def frequent_table():
    rng = np.random.default_rng(20)
    return 3 + rng.standard_normal((6, 3)), np.array([0.0, 5, 1, 0, 2, 40])  # two tokens never occur


def test_normalized_embedding_has_mean_0_and_variance_1():
    table, frequencies = frequent_table()
    ours, share = values.normalize_embedding(table, frequencies), frequencies / frequencies.sum()
    np.testing.assert_allclose(share @ ours, 0, atol=1e-15)
    np.testing.assert_allclose(share @ ours**2, 1, rtol=1e-14)
    np.testing.assert_allclose(values.normalize_embedding(7 * table - 5, 0.1 * frequencies), ours, rtol=0, atol=1e-13)


def test_normalized_embedding_and_its_gradient():
    table, frequencies = frequent_table()
    c = np.random.default_rng(21).standard_normal(table.shape)

    def exact(table):
        share = precise(frequencies) / frequencies.sum()
        centred = table - share @ table
        return centred / (share @ centred**2) ** HALF

    assert close(values.normalize_embedding(table, frequencies), exact(precise(table)), 1e-13)
    pulled = pullbacks.normalize_embedding(table, frequencies)(c), {}
    assert wrong_blocks(pulled, lambda _, table: (c * exact(table)).sum(), {}, table) == []


def test_normalized_embedding_is_0_in_a_component_that_does_not_vary():
    table, frequencies = frequent_table()
    still = np.ones((6, 1)) * np.random.default_rng(25).standard_normal(20)  # weighted means are off in the last digit
    still[0] += 7  # a token that never occurs adds no variance
    table = np.concatenate([table, still], 1)
    ours, bar = values.normalize_embedding(table, frequencies), pullbacks.normalize_embedding(table, frequencies)(table)
    for found in (ours, bar):
        assert ((found == 0).all(0) == [False] * 3 + [True] * 20).all()


@pytest.mark.parametrize("norm", ["l2", "linf", "l1", "raw"])
def test_perturbation_of_a_table(norm):
    p, tokens, table, _ = text_problem()
    total = lambda table: cross_entropy(p.forward(precise(p.params), table[tokens]), np.eye(2)[p.labels]).sum()  # noqa: E731
    g = np.array([sloped(total, precise(table), unit.reshape(table.shape)) for unit in np.eye(10, dtype=int)])
    ours = values.perturb_table(OfTable(), table, radius=0.5, norm=norm)
    assert close(ours, pointed(g[None], norm).reshape(table.shape) / 2)
    assert (ours[4] == 0).all()


@pytest.mark.parametrize("norm", ["l2", "linf", "l1", "raw"])
@pytest.mark.parametrize("scope", ["sample", "tensor"])
def test_perturbation_of_an_output_leaves_padding_alone(norm, scope):
    p = problem("linear")  # of (B, 3, 2), and no model that ignores padding by itself
    mask = np.array([[1.0, 1, 0], [1, 0, 0]])
    g = gradients(lambda x: cross_entropy(p.forward(precise(p.params), x), np.eye(4)[p.labels]), precise(p.x))
    g = g * np.repeat(mask, 2, axis=1).astype(int)
    exact = pointed(g if scope == "sample" else g.reshape(1, -1), norm).reshape(p.x.shape)
    loss = oracle.Loss(p.f, "cross_entropy", p.labels)
    ours = values.perturb_output(loss, p.x, mask, radius=0.5, norm=norm, scope=scope)
    assert close(ours, exact / 2)
    assert (ours[mask == 0] == 0).all()


def layers():
    rng = np.random.default_rng(22)
    shapes = ((4, 3), (2, 4, 3, 3), (5, 2, 2))
    return [rng.standard_normal(shape) for shape in shapes], [rng.standard_normal(shape[0]) for shape in shapes]


def iterated(weight, u, steps):
    """u and v with 50 digits."""
    matrix, u = precise(weight).reshape(len(weight), -1), precise(u)
    for _ in range(steps):
        v = matrix.T @ u / lengths(matrix.T @ u)
        u = matrix @ v / lengths(matrix @ v)
    return u, v


@pytest.mark.parametrize("steps", [1, 3])
def test_spectral_norm_and_its_gradient(steps):
    for weight, start in zip(*layers(), strict=True):
        u, v = iterated(weight, start, steps)
        form = lambda weight, u=u, v=v: u @ weight.reshape(len(u), -1) @ v  # noqa: E731
        sigma, ours = values.spectral_norm(weight, start, steps=steps)
        assert close(sigma, form(precise(weight))) and close(ours, u)
        pulled, fixed = pullbacks.spectral_norm(weight, start, steps=steps)
        assert wrong_blocks((pulled(-1.3), {}), lambda _, weight, form=form: -1.3 * form(weight), {}, weight) == []
        assert fixed(ours).shape == weight.shape and (fixed(ours) == 0).all()


def test_spectral_norm_converges_to_the_largest_singular_value_and_its_gradient():
    for weight, start in zip(*layers(), strict=True):
        u, sizes, v = np.linalg.svd(weight.reshape(len(weight), -1), full_matrices=False)
        sigma, _ = values.spectral_norm(weight, start, steps=500)
        np.testing.assert_allclose(sigma, sizes[0], rtol=1e-14)
        bar = pullbacks.spectral_norm(weight, start, steps=500)[0](1.0)
        np.testing.assert_allclose(bar, np.outer(u[:, 0], v[0]).reshape(weight.shape), rtol=0, atol=1e-13)


def test_spectral_norm_of_a_weight_that_is_0():
    sigma, u = values.spectral_norm(np.zeros((2, 3)), np.ones(2))
    assert sigma == 0 and (u == 0).all()
    assert (pullbacks.spectral_norm(np.zeros((2, 3)), np.ones(2))[0](1.0) == 0).all()


def test_lipschitz_bound_and_its_gradient():
    weights, us = layers()
    vectors = [iterated(weight, u, 2) for weight, u in zip(weights, us, strict=True)]
    reads = [1, 9, 2]

    def exact(weights):
        forms = [u @ weights[str(i)].reshape(len(u), -1) @ v for i, (u, v) in enumerate(vectors)]
        return np.prod(forms) * np.prod(precise(reads)) ** HALF

    named = {str(i): weight for i, weight in enumerate(weights)}
    assert close(values.lipschitz_bound(weights, us, steps=2), exact(precise(named)))
    bars = pullbacks.lipschitz_bound(weights, us, steps=2)(-1.3)
    assert wrong_params({str(i): bar for i, bar in enumerate(bars)}, lambda named: -1.3 * exact(named), named) == []
    weights[0] = 0 * weights[0]  # one norm of 0 makes the others' gradients 0, not 0/0
    assert all((bar == 0).all() for bar in pullbacks.lipschitz_bound(weights, us)(1.0))


def test_lipschitz_bound_is_reached_by_a_circular_convolution():
    """Of stride 1 with equal weights it multiplies the constant signal by their sum."""
    kernel = np.ones((1, 1, 3))
    circulant = sum(np.roll(np.eye(8), shift, axis=0) for shift in range(3))
    bound = values.lipschitz_bound([kernel], [np.ones(1)])
    np.testing.assert_allclose(bound, np.linalg.norm(circulant, 2), rtol=1e-14)


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


def zero_gradient():
    """A network that ignores x: every gradient in x is 0."""
    p = problem("mlp")
    f = oracle.Model("mlp", p.params | {"0.weight": np.zeros((4, 3))})
    return p, f, oracle.Loss(f, "cross_entropy", p.labels)


def test_zero_gradients_give_zero_perturbations_and_finite_penalties():
    p, f, loss = zero_gradient()
    for norm in ("l2", "linf", "l1", "raw"):
        assert (values.fgm(loss, p.x, radius=1.0, norm=norm) == 0).all()
    for norm in SIZES:
        assert (values.pgd(loss, p.x, 0 * p.x, radius=1.0, step=0.5, steps=2, norm=norm) == 0).all()
    for how in ("fisher", "finite_difference", "exact"):
        assert (values.vat_perturbation(f, p.x, p.x, radius=1.0, how=how) == 0).all()
        assert (values.vat_loss(f, p.x, p.x, radius=1.0, how=how) == 0).all()
    for norm in ("l2_squared", "l2", "l1"):
        assert (values.input_gradient_penalty(loss, p.x, norm=norm) == 0).all()
        for how in ("double_backward", "finite_difference"):
            pulled = pullbacks.input_gradient_penalty(loss, p.x, norm=norm, how=how)(np.ones(2))
            assert all_zero(pulled, p.x, p.params)
    critic, mix = oracle.Loss(f, "value", p.labels), np.full(2, 0.5)
    assert (values.wgan_gradient_penalty(critic, p.x, -p.x, mix, target=2.0) == 4).all()
    assert all_zero(pullbacks.wgan_gradient_penalty(critic, p.x, -p.x, mix, target=2.0)(np.ones(2)), p.x, p.params)


def test_the_slope_of_a_norm_whose_square_underflows_is_lost_and_no_other():
    p = problem("mlp")
    last = max(name for name in p.params if name.endswith("weight"))
    for size, kept in ((1.0, 1.0), (1e-30, 0.0)):
        f = oracle.Model("mlp", p.params | {last: size * p.params[last]})
        critic, mix = oracle.Loss(f, "cross_entropy", p.labels), np.full(2, 0.5)
        penalties = {
            "wgan": lambda m, c=critic, mix=mix: m.wgan_gradient_penalty(c, p.x, -p.x, mix),
            "l2": lambda m, c=critic: m.input_gradient_penalty(c, p.x, norm="l2"),
        }
        for name, penalty in penalties.items():
            exact = penalty(pullbacks)(np.ones(2))[1][last]
            with oracle.underflowed(1e-38):  # float32's
                value, found = penalty(values), penalty(pullbacks)(np.ones(2))[1][last]
            np.testing.assert_allclose(value, penalty(values), atol=1e-18)
            np.testing.assert_allclose(found, kept * exact, atol=1e-10 * abs(exact).max(), err_msg=name)


def test_perturbations_are_held_fixed():
    p, sequences = problem("mlp"), problem("linear")
    loss = oracle.Loss(p.f, "cross_entropy", p.labels)
    ascents = {"radius": 0.5, "step": 0.3, "steps": 2}
    for pullback in (
        pullbacks.fgm(loss, p.x, radius=0.5),
        pullbacks.pgd(loss, p.x, p.x, **ascents),
        pullbacks.freelb_loss(loss, p.x, p.x, **ascents)[1],
        pullbacks.vat_perturbation(p.f, p.x, p.x, radius=0.5),
        pullbacks.top_eigenpair(loss, p.x, p.x, steps=2)[1],
        pullbacks.top_eigenpair(loss, p.x, p.x, steps=2, how="lanczos")[1],
    ):
        assert all_zero(pullback(np.ones_like(p.x)), p.x, p.params)
    of_outputs = oracle.Loss(sequences.f, "cross_entropy", sequences.labels)
    pulled = pullbacks.perturb_output(of_outputs, sequences.x, np.ones((2, 3)), radius=0.5)(sequences.x)
    assert all_zero(pulled, sequences.x, sequences.params)
    closure = OfTable()
    pulled = pullbacks.perturb_table(closure, closure.table, radius=0.5)(closure.table)
    assert all_zero(pulled, closure.table, closure.problem.params)


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
    probes, cases = (
        rng.standard_normal((2, 2, 3)),
        {
            "dropout": lambda m, x: m.dropout_loss(loss, x, z + 1),
            "adversarial": lambda m, x: m.adversarial_loss(loss, x, z[0], clean_weight=0.3),
            "wgan": lambda m, x: m.wgan_gradient_penalty(loss, x, z[0], np.array([0.3, 0.9])),
            "tikhonov": lambda m, x: m.tikhonov_penalty("kl_divergence", p.f, x),
            "tikhonov probes": lambda m, x: m.tikhonov_penalty("kl_divergence", p.f, x, probes=probes),
        },
    )
    for name, of in cases.items():
        slope, x_bar = derivative(lambda t, of=of: of(values, p.x + t * z[0])), of(pullbacks, p.x)(np.ones(2))[0]
        np.testing.assert_allclose(slope, (x_bar * z[0]).sum(1), rtol=1e-12, err_msg=name)
