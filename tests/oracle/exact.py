"""Losses with 50 digits, and differences of them: what the oracle is held against.

Nothing is shared with the oracle but the formulas. A gradient is compared block by block (x and each parameter) along
one random direction that moves every entry: an entry wrong by the relative amount ε moves the number by about ε.
"""

import mpmath
import numpy as np

from equivalence import oracle
from tests.oracle.forward import MASK, MASKED, OPTIONS, exp, log, precise, problem, text_problem

# float64 rounds some ten sums of a few terms (1e-15), and a second derivative by a circle magnifies that by up to some
# hundreds; the differences below are exact to 1e-15. A wrong formula is off by far more than 1e-9.
LIMIT = 1e-11
STEP = mpmath.mpf(10) ** -9  # central: off by its square; what it divides is exact to 1e-24
INNER = mpmath.mpf(10) ** -12  # of differences inside what STEP divides


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


def soft(rng, shape):
    return rng.uniform(0.1, 1, shape)  # they do not sum to 1: the formula does not need it


LOSSES = {
    "cross_entropy": (cross_entropy, soft),
    "squared_error": (squared, np.random.Generator.standard_normal),
    "kl_divergence": (kl, np.random.Generator.standard_normal),
    "reverse_kl_divergence": (lambda a, b: kl(b, a), np.random.Generator.standard_normal),
}


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


SIZES = {  # of each row, (B, n) -> (B,)
    "l2": lambda rows: np.sqrt((rows**2).sum(1)),
    "linf": lambda rows: np.abs(rows).max(1),
    "l1": lambda rows: np.abs(rows).sum(1),
}
