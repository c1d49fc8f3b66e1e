"""Traced numbers of a schedule, half precision: dtypes stay, and directions are those of full precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from impls.jax.losses import cross_entropy
from impls.jax.objectives import Ascent
from impls.jax.smoothness import Smoothness
from impls.jax.training import adversarial_training, gradient_penalty_training, virtual_adversarial_training
from tests.quick import mostly_slow
from tests.training.jax.by_hand import KEY, RADIUS, lengths, numbers
from tests.training.jax.stateful import BATCH, CLASSES, WIDTH, assert_close, made, problem

TRACED = {
    "adversarial": lambda a, b: (adversarial_training, {"radius": a, "clean_weight": b}),
    "penalty": lambda a, b: (gradient_penalty_training, {"weight": a}),
    "virtual": lambda a, b: (virtual_adversarial_training, {"radius": a, "xi": b, "weight": b, "entropy_weight": b}),
}


@pytest.mark.parametrize("method", mostly_slow(TRACED, ["adversarial"]))
def test_numbers_may_be_traced(method):
    """Where the number is 0, too: XLA rounds differently with passes that add nothing, but no more than that."""
    f, params, *batch = problem(None)

    def slope(a, b):
        line, numbers = TRACED[method](a, b)
        objective = made(line, f, None, **numbers)
        return jax.grad(lambda params: objective(params, *batch, key=jax.random.key(3)).mean())(params)

    traced = jax.jit(slope)
    assert_close(traced(0.3, 0.4), slope(0.3, 0.4), units=1024)
    assert_close(traced(0.0, 0.4), slope(0.0, 0.4))


@pytest.mark.parametrize("method", TRACED)
def test_half_precision_stays_half(method):
    """The float32 of a schedule would carry the whole model with it."""
    seen = []

    def f(params, x):
        seen.append(x.dtype)
        return x @ params

    line, numbers = TRACED[method](jnp.float32(0.3), jnp.float32(0.4))
    params, x = jnp.ones((WIDTH, CLASSES), jnp.bfloat16), jnp.ones((BATCH, WIDTH), jnp.bfloat16)
    jax.eval_shape(lambda: made(line, f, None, **numbers)(params, x, np.zeros(BATCH, int), key=jax.random.key(3)))
    assert set(seen) == {jnp.dtype(jnp.bfloat16)}


HALVES = {  # dtypes of the parameters and of what is computed
    "bfloat16": ("bfloat16", "bfloat16"),
    "float16": ("float16", "float16"),
    "float32, computed in bfloat16": ("float32", "bfloat16"),
    "float32, computed in float16": ("float32", "float16"),
}


@pytest.mark.parametrize("site", mostly_slow(["input under a mask", "table"], ["table"]))
@pytest.mark.parametrize("half", mostly_slow(HALVES, ["float16"]))
def test_directions_survive_half_precision(half, site, monkeypatch):
    """Confident positions among them: of each sample the direction is float64's, and none is lost."""
    held, computed = HALVES[half]
    n, found, direction = numbers(), [], Smoothness.direction
    key, table = jax.random.key(KEY), site == "table"

    def noted(*args):
        found.append(direction(*args))
        return found[0]

    monkeypatch.setattr(Smoothness, "direction", noted)
    kernel = n["params"]["kernel"] * jnp.linspace(1, 4, n["params"]["kernel"].shape[1])
    rows = jnp.asarray(np.random.default_rng(1).standard_normal((9, kernel.shape[0])))
    tokens = jnp.asarray(np.random.default_rng(2).integers(9, size=n["sequences"].shape[:2]))
    kernel, rows, x = (array.astype(computed).astype("float64") for array in (kernel, rows, n["sequences"]))

    def f(params, x, mask=None):
        looked_up = params["rows"][tokens] if table else x
        kernel = params["kernel"].astype(looked_up.dtype) if looked_up.dtype == "float64" else params["kernel"]
        if looked_up.dtype != "float64":
            looked_up, kernel = looked_up.astype(computed), kernel.astype(computed)
        return jnp.tanh(looked_up @ kernel) @ kernel.T

    params, mask = {"rows": rows, "kernel": kernel}, n["mask"]
    options = {"mask": lambda x, mask: mask} | ({"target": "rows"} if table else {})
    options = options | ({"mask": None} if table else {})
    objective = virtual_adversarial_training(f, radius=RADIUS, **options)
    objective(jax.tree.map(lambda leaf: leaf.astype(held), params), x.astype(held), mask, key=key)
    at = rows[None] if table else x
    weight = jnp.ones(()) if table else mask[:, :, None]
    share = weight / (tokens.shape[1] if table else mask.sum(1)[:, None, None])
    outputs = lambda at: f(params | ({"rows": at[0]} if table else {}), at)  # noqa: E731
    start = jax.random.normal(key, at.shape, held).astype("float64") * weight
    clean, change = jax.jvp(outputs, (at,), (start / lengths(start),))
    p = jax.nn.softmax(clean)
    weights = share * p * (change - (p * change).sum(-1, keepdims=True))
    wanted = jax.vjp(outputs, at)[1](weights)[0] * weight
    wanted, got = (np.asarray(array, float).reshape(len(at), -1) for array in (wanted, found[0]))
    assert ((wanted * got).sum(1) / np.linalg.norm(wanted, axis=1)).min() >= 0.99
    assert np.abs(np.linalg.norm(got, axis=1) - 1).max() < 1e-6


@pytest.mark.parametrize("target", [None, "rows"])
@pytest.mark.parametrize("held", mostly_slow(["float16", "float32"], ["float16"]))
def test_confident_samples_have_an_attack_in_half_precision(held, target, monkeypatch):
    """Their gradients are smaller than float16's smallest number: as in the methods, the loss is scaled."""
    found, climb = [], Ascent.climb

    def noted(*args):
        found.append(climb(*args))
        return found[-1]

    monkeypatch.setattr(Ascent, "climb", noted)
    rng = np.random.default_rng(0)
    kernels = {name: rng.standard_normal(shape) for name, shape in (("in", (5, 16)), ("out", (16, 3)))}
    numbers = {"rows": rng.standard_normal((4, 5)), "in": kernels["in"] / 4, "out": kernels["out"] / 100}
    numbers = {name: jnp.asarray(array).astype("float16").astype("float64") for name, array in numbers.items()}

    def f(params, x):
        x = params["rows"][x] if target else x
        exact = x.dtype == "float64"
        x, first, last = (array.astype(x.dtype if exact else "float16") for array in (x, params["in"], params["out"]))
        return (jnp.tanh(x @ first) @ last).astype("float64" if exact else "float32") + 17 * jnp.eye(3)[0]

    def attack(dtype):
        params = jax.tree.map(lambda leaf: leaf.astype(dtype), numbers)
        x = jnp.arange(4) if target else params["rows"]
        objective = adversarial_training(f, cross_entropy, target, radius=0.5)
        objective(params, x, jnp.zeros(4, int))
        return np.asarray(found[-1]).astype("float64")

    half, exact = attack(held), attack("float64")
    cosines = (half * exact).sum(-1) / np.linalg.norm(half, axis=-1) / np.linalg.norm(exact, axis=-1)
    assert half.shape == exact.shape and cosines.min() > 0.99


def test_the_step_of_a_difference_is_that_of_what_f_computes_in():
    """A step by float32 vanishes in bfloat16, whatever the outputs are cast to."""
    keys = jax.random.split(jax.random.key(0), 3)
    x, first, second = (jax.random.normal(k, s, "float32") for k, s in zip(keys, [(8, 4), (4, 6), (6, 3)], strict=True))

    def f(params, x):
        hidden = jax.jit(jnp.tanh)(x.astype("bfloat16") @ params[0].astype("bfloat16"))
        return (hidden @ params[1].astype("bfloat16")).astype("float32")

    exact, found = (
        virtual_adversarial_training(f, radius=0.5, how=how)((first, second), x, key=jax.random.key(3))
        for how in ("fisher", "finite_difference")
    )
    assert (found > exact / 2).all()  # a step of which nothing is left has a random direction, or none
