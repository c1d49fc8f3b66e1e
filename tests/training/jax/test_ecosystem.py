"""The objectives with modules of Flax (Linen and NNX), Equinox and Haiku, in the form that their users write.

Each step is held against the same one written by hand in the library's own terms. The libraries are installed where tox
runs `ecosystem-jax`; elsewhere these tests are skipped.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

if missing := [name for name in ("flax", "equinox", "haiku") if importlib.util.find_spec(name) is None]:
    pytest.skip(f"not installed: {', '.join(missing)}; tox -e ecosystem-jax has them", allow_module_level=True)

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import optax
from flax import linen, nnx

from impls.jax.losses import kl_divergence
from impls.jax.training import (
    adversarial_training,
    freelb_training,
    gradient_penalty_training,
    virtual_adversarial_training,
)

# Flax keeps statistics in float32, also of a float64 model.
pytestmark = pytest.mark.filterwarnings("ignore:scatter inputs have incompatible types:FutureWarning")
loss = optax.softmax_cross_entropy_with_integer_labels
VOCABULARY, WIDTH, HIDDEN, CLASSES, RADIUS = 7, 4, 6, 3, 0.5
FLOAT64 = {"dtype": "float64", "param_dtype": "float64"}
every_mode = pytest.mark.parametrize("jit", [False, True], ids=["uncompiled", "jit"])


def batch(tokens):
    rng = np.random.default_rng(0)
    x = rng.integers(VOCABULARY - 1, size=(5, 3)) if tokens else rng.standard_normal((5, WIDTH))
    return jnp.asarray(x), jnp.asarray(rng.integers(CLASSES, size=5))


def assert_close(found, wanted, units=256):
    """Equal to rounding of the largest entry, in float64."""
    found, wanted = jax.tree.leaves(found), jax.tree.leaves(wanted)
    scale = max(float(jnp.abs(leaf).max()) for leaf in wanted)
    assert scale > 0 and len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=units * 2**-53 * scale)


def scaled(gradient):
    """One vector a sample, of length RADIUS."""
    rows = gradient.reshape(len(gradient), -1)
    return RADIUS * gradient / jnp.linalg.norm(rows, axis=1).reshape(-1, *[1] * (gradient.ndim - 1))


# Flax NNX: the model has its statistics and its generator in it.


class Network(nnx.Module):
    """Dropout and batch normalisation; of tokens or of numbers."""

    def __init__(self, tokens, rngs):
        self.embed = nnx.Embed(VOCABULARY, WIDTH, rngs=rngs, **FLOAT64) if tokens else None
        self.hidden = nnx.Linear(WIDTH, HIDDEN, rngs=rngs, **FLOAT64)
        self.norm = nnx.BatchNorm(HIDDEN, rngs=rngs, **FLOAT64)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.output = nnx.Linear(HIDDEN, CLASSES, rngs=rngs, **FLOAT64)

    def __call__(self, x):
        return self.head(x if self.embed is None else self.embed(x))

    def head(self, x):
        x = x if self.embed is None else jnp.tanh(x).mean(1)
        return self.output(self.dropout(jnp.tanh(self.norm(self.hidden(x)))))


def call(model, x):
    return model(x)


def at(model, params, others, function, *arguments):
    """A function of the model as it was, with these parameters: each pass begins alike."""
    return function(nnx.merge(nnx.graphdef(model), *jax.tree.map(lambda leaf: leaf, (params, others))), *arguments)


def on_input(model, params, others, x, labels):
    r = scaled(jax.grad(lambda x: loss(at(model, params, others, call, x), labels).sum())(x))
    return lambda params: loss(at(model, params, others, call, x + r), labels)


def on_table(model, params, others, tokens, labels):
    def losses(params, table):
        params["embed"]["embedding"] = params["embed"]["embedding"].replace(table)
        return loss(at(model, params, others, call, tokens), labels)

    copy = lambda params: jax.tree.map(lambda leaf: leaf, params)  # noqa: E731
    table = params["embed"]["embedding"][...]
    gradient = jax.grad(lambda table: losses(copy(params), table).sum())(table)
    r = RADIUS * gradient / jnp.linalg.norm(gradient)
    return lambda params: losses(copy(params), params["embed"]["embedding"][...] + r)


def on_output(model, params, others, tokens, labels):
    def losses(params, r):
        return loss(at(model, params, others, lambda model: model.head(model.embed(tokens) + r)), labels)

    r = scaled(jax.grad(lambda r: losses(params, r).sum())(jnp.zeros((*tokens.shape, WIDTH))))
    return lambda params: losses(params, r)


def penalised(model, params, others, x, labels):
    def losses(params, x):
        return loss(at(model, params, others, call, x), labels)

    def objective(params):
        gradient = jax.grad(lambda x: losses(params, x).sum())(x)
        return losses(params, x) + 0.3 * jnp.square(gradient).sum(1)

    return objective


def virtual(model, params, others, x, labels):
    logits = lambda params, x: at(model, params, others, call, x)  # noqa: E731
    start = jax.random.normal(jax.random.key(3), x.shape, x.dtype)
    direction = start / jnp.linalg.norm(start, axis=1, keepdims=True)
    clean, change = jax.jvp(lambda x: logits(params, x), (x,), (direction,))
    p = jax.nn.softmax(clean)  # of Jᵀ(diag p - ppᵀ)J, in which samples meet by their statistics
    weights = p * (change - (p * change).sum(1, keepdims=True))
    r = scaled(jax.vjp(lambda x: logits(params, x), x)[1](weights)[0])

    def objective(params):
        return loss(logits(params, x), labels) + kl_divergence(clean, logits(params, x + r))

    return objective


of_table = adversarial_training(call, loss, "embed/embedding", radius=RADIUS)
of_module = adversarial_training(call, loss, "embed", radius=RADIUS)
of_output = adversarial_training(call, loss, "embed", where="output", radius=RADIUS)
NNX = {  # whether of tokens, objective, whether it takes a key, the same by hand, rounding units
    "fgm on the input": (False, adversarial_training(call, loss, radius=RADIUS), False, on_input, 256),
    "fgm on the table": (True, of_table, False, on_table, 256),
    "fgm on the table of a module": (True, of_module, False, on_table, 256),
    "fgm on an output": (True, of_output, False, on_output, 256),
    "penalty": (False, gradient_penalty_training(call, loss, weight=0.3), False, penalised, 256),
    "virtual": (False, virtual_adversarial_training(call, loss, radius=RADIUS), True, virtual, 256),
}


def state(model):
    """All that is no parameter: statistics, counts of draws; keys as numbers."""
    leaves = jax.tree.leaves(nnx.state(model, nnx.Not(nnx.Param)))
    return [jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf for leaf in leaves]


@every_mode
@pytest.mark.parametrize(("tokens", "objective", "keyed", "by_hand", "units"), NNX.values(), ids=NNX)
def test_nnx_step_is_the_one_by_hand(jit, tokens, objective, keyed, by_hand, units):
    """Gradients are the same; statistics are those of one clean pass, and dropout has drawn once."""
    x, labels = batch(tokens)
    keys = {"key": jax.random.key(3)} if keyed else {}

    def step(model, x, labels):
        return nnx.value_and_grad(lambda model: objective(model, x, labels, **keys).mean())(model)

    model, plain = (Network(tokens, nnx.Rngs(0)) for _ in range(2))
    _, params, others = nnx.split(plain, nnx.Param, ...)
    written = by_hand(plain, params, others, x, labels)  # here, not in the gradient: r is held fixed
    wanted = jax.grad(lambda params: written(params).mean())(params)
    _, found = (nnx.jit(step) if jit else step)(model, x, labels)
    assert_close(nnx.to_pure_dict(found), nnx.to_pure_dict(wanted), units)
    plain(x)
    assert_close(state(model), state(plain))
    assert int(model.dropout.rngs.count[...]) == int(plain.dropout.rngs.count[...])


@pytest.mark.parametrize("method", [adversarial_training, virtual_adversarial_training])
def test_nnx_at_radius_0_is_the_plain_step_to_the_last_bit(method):
    x, labels = batch(False)
    keys = {"key": jax.random.key(3)} if method is virtual_adversarial_training else {}
    objective = method(call, loss, radius=0)

    def after(objective):
        model = Network(False, nnx.Rngs(0))
        optimizer = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)

        @nnx.jit
        def step(model, optimizer):
            gradient = nnx.grad(lambda model: objective(model).mean())(model)
            optimizer.update(model, gradient)

        for _ in range(2):
            step(model, optimizer)
        return [np.asarray(leaf) for leaf in [*jax.tree.leaves(nnx.state(model, nnx.Param)), *state(model)]]

    found = after(lambda model: objective(model, x, labels, **keys))
    wanted = after(lambda model: loss(model(x), labels))
    assert all((a == b).all() for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("fails_at", [1, 2])
def test_nnx_model_is_what_it_was_when_a_pass_raises(fails_at):
    x, labels = batch(False)
    model, calls = Network(False, nnx.Rngs(0)), []

    def f(model, x):
        calls.append(x)
        outputs = model(x)
        if len(calls) == fails_at:
            raise FloatingPointError("in a pass")
        return outputs

    before = [np.asarray(leaf) for leaf in state(model)]
    with pytest.raises(FloatingPointError):
        adversarial_training(f, loss, radius=RADIUS)(model, x, labels)
    assert all((a == b).all() for a, b in zip(before, state(model), strict=True))


def test_nnx_random_starts_leave_the_clean_statistics():
    x, labels = batch(False)
    options = {"radius": RADIUS, "step": 0.2, "steps": 2}
    for objective in (
        freelb_training(call, loss, **options),
        adversarial_training(call, loss, **options, start="random"),
    ):
        model, plain = (Network(False, nnx.Rngs(0)) for _ in range(2))
        nnx.jit(lambda model, objective=objective: objective(model, x, labels, key=jax.random.key(3)))(model)
        plain(x)
        assert_close(state(model), state(plain))


def test_passes_of_an_nnx_model_share_their_mask():
    """At a radius that is 0 and traced, all passes are there: with masks of their own they would differ."""
    x, labels = batch(False)
    model, plain = (Network(False, nnx.Rngs(0)) for _ in range(2))
    objective = nnx.jit(lambda model, radius: adversarial_training(call, loss, radius=radius)(model, x, labels))
    assert_close(objective(model, jnp.zeros(())), loss(plain(x), labels))


def test_generators_of_nnx_among_the_arguments():
    """Parameters are a tree of arrays; the generator draws once, the same in each pass."""
    tokens, labels = batch(True)
    rng = np.random.default_rng(0)
    params = {
        "embed": {"table": rng.standard_normal((VOCABULARY, WIDTH))},
        "kernel": rng.standard_normal((WIDTH, CLASSES)),
    }
    params = jax.tree.map(jnp.asarray, params)

    def f(params, tokens, rngs):
        x = params["embed"]["table"][tokens].mean(1)
        return jnp.where(jax.random.bernoulli(rngs.dropout(), 0.5, x.shape), 2 * x, 0) @ params["kernel"]

    def losses(params, r):
        moved = {"table": params["embed"]["table"] + r}
        return loss(f({**params, "embed": moved}, tokens, nnx.Rngs(dropout=5)), labels)

    slope = jax.grad(lambda r: losses(params, r).sum())(jnp.zeros((VOCABULARY, WIDTH)))
    rngs = nnx.Rngs(dropout=5)
    found = adversarial_training(f, loss, "embed/table", radius=RADIUS)(params, tokens, labels, rngs)
    assert_close(found, losses(params, RADIUS * slope / jnp.linalg.norm(slope)))
    assert int(rngs.dropout.count[...]) == 1


def test_nnx_under_key_reuse_checks():
    x, labels = batch(False)
    objective = adversarial_training(call, loss, radius=RADIUS)
    with jax.debug_key_reuse(True):
        value = nnx.jit(lambda model: objective(model, x, labels).mean())(Network(False, nnx.Rngs(0)))
    assert jnp.isfinite(value)


# Flax Linen: statistics and dropout's key are arguments.


class Linen(linen.Module):
    @linen.compact
    def __call__(self, tokens, shift=0.0):
        x = jnp.tanh(linen.Embed(VOCABULARY, WIDTH, name="embed", **FLOAT64)(tokens) + shift).mean(1)
        x = linen.Dense(HIDDEN, name="hidden", **FLOAT64)(x)
        x = jnp.tanh(linen.BatchNorm(use_running_average=False, name="norm", **FLOAT64)(x))
        return linen.Dense(CLASSES, name="output", **FLOAT64)(linen.Dropout(0.5, deterministic=False)(x))


def linen_problem():
    model, (tokens, labels) = Linen(), batch(True)
    variables = model.init({"params": jax.random.key(0), "dropout": jax.random.key(1)}, tokens)

    def f(params, tokens, statistics, dropout, **shift):
        variables = {"params": params, "batch_stats": statistics}
        outputs, moved = model.apply(variables, tokens, rngs={"dropout": dropout}, mutable=["batch_stats"], **shift)
        return outputs, moved["batch_stats"]

    return f, variables["params"], tokens, labels, variables["batch_stats"], jax.random.key(2)


@every_mode
@pytest.mark.parametrize("where", ["table", "output"])
def test_linen_step_is_the_one_by_hand(jit, where):
    f, params, tokens, labels, *rest = linen_problem()
    objective = adversarial_training(f, loss, "embed", radius=RADIUS, where=where, has_aux=True)

    def found(params):
        values, statistics = objective(params, tokens, labels, *rest)
        return values.mean(), statistics

    def losses(params, point):
        if where == "output":
            return loss(f(params, tokens, *rest, shift=point)[0], labels)
        return loss(
            f({**params, "embed": {"embedding": params["embed"]["embedding"] + point}}, tokens, *rest)[0], labels
        )

    zero = jnp.zeros((*tokens.shape, WIDTH) if where == "output" else (VOCABULARY, WIDTH))
    gradient = jax.grad(lambda r: losses(params, r).sum())(zero)
    r = scaled(gradient) if where == "output" else RADIUS * gradient / jnp.linalg.norm(gradient)
    slope = jax.grad(found, has_aux=True)
    gradients, statistics = (jax.jit(slope) if jit else slope)(params)
    assert_close(gradients, jax.grad(lambda params: losses(params, r).mean())(params))
    np.testing.assert_allclose(statistics["norm"]["mean"], f(params, tokens, *rest)[1]["norm"]["mean"], rtol=1e-6)


def test_modules_of_linen_are_listed_where_none_fits():
    f, params, tokens, labels, *rest = linen_problem()
    objective = adversarial_training(f, loss, "encoder", radius=RADIUS, where="output", has_aux=True)
    with pytest.raises(ValueError, match=r"'encoder'.*modules that it calls: embed, hidden, norm, Dropout_0, output"):
        objective(params, tokens, labels, *rest)


def test_a_function_compiled_by_itself_is_refused_with_an_output():
    """Its passes are one program, in which nothing can be added any more."""
    f, params, tokens, labels, *rest = linen_problem()
    objective = adversarial_training(jax.jit(f), loss, "embed", radius=RADIUS, where="output", has_aux=True)
    with pytest.raises(ValueError, match="leave jit to the whole step"):
        objective(params, tokens, labels, *rest)


# Equinox: modules with leaves that are no arrays; a State that is good for one use.


class Equinox(eqx.Module):
    embed: eqx.nn.Embedding
    mlp: eqx.nn.MLP
    norm: eqx.nn.BatchNorm
    name: str

    def __init__(self, key):
        keys = jax.random.split(key)
        self.embed, self.name = eqx.nn.Embedding(VOCABULARY, WIDTH, key=keys[0]), "a name"
        self.mlp = eqx.nn.MLP(WIDTH, CLASSES, HIDDEN, 1, activation=jnp.tanh, key=keys[1])
        self.norm = eqx.nn.BatchNorm(WIDTH, "batch", mode="batch")

    def __call__(self, tokens, state):
        x, state = self.norm(jnp.tanh(jax.vmap(self.embed)(tokens)).mean(0), state)
        return self.mlp(x), state


def over_batch(model, tokens, state):
    return jax.vmap(model, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(tokens, state)


EQUINOX = {
    "adversarial": (adversarial_training, {"radius": RADIUS}),
    "penalty": (gradient_penalty_training, {"weight": 0.3}),
    "virtual": (virtual_adversarial_training, {"radius": RADIUS}),
    "freelb": (freelb_training, {"radius": RADIUS, "step": 0.2, "steps": 2}),
}


@every_mode
@pytest.mark.parametrize(("method", "options"), EQUINOX.values(), ids=EQUINOX)
def test_equinox_modules_and_states(jit, method, options):
    """The state is that of one clean pass, and the one handed over can be used again."""
    tokens, labels = batch(True)
    model, state = eqx.nn.make_with_state(Equinox)(jax.random.key(0))
    objective = method(over_batch, loss, "embed/weight", has_aux=True, **options)
    keys = {} if method in (adversarial_training, gradient_penalty_training) else {"key": jax.random.key(3)}

    def step(model, state):
        def mean(model):
            values, moved = objective(model, tokens, labels, state, **keys)
            return values.mean(), moved

        return eqx.filter_value_and_grad(mean, has_aux=True)(model)

    (_, moved), gradient = (eqx.filter_jit(step) if jit else step)(model, state)
    assert (float(jnp.abs(gradient.embed.weight).max()) > 0 and gradient.name == model.name) or gradient.name is None
    assert_close(moved, over_batch(model, tokens, state)[1], units=2**32)  # the module's numbers are float32


def test_equinox_step_is_the_one_by_hand():
    x, labels = batch(False)
    model = eqx.nn.MLP(WIDTH, CLASSES, HIDDEN, 1, activation=jnp.tanh, key=jax.random.key(0), dtype=jnp.float64)
    f = lambda model, x: jax.vmap(model)(x)  # noqa: E731
    r = scaled(jax.grad(lambda x: loss(f(model, x), labels).sum())(x))
    wanted = eqx.filter_grad(lambda model: loss(f(model, x + r), labels).mean())(model)
    objective = adversarial_training(f, loss, radius=RADIUS)
    found = eqx.filter_jit(eqx.filter_grad(lambda model: objective(model, x, labels).mean()))(model)
    assert_close(eqx.filter(found, eqx.is_array), eqx.filter(wanted, eqx.is_array))


# Haiku: two pure functions.


@pytest.mark.parametrize(("target", "where"), [("embed/embeddings", "table"), ("embed", "output")])
def test_haiku_step_is_the_one_by_hand(target, where):
    tokens, labels = batch(True)

    def network(tokens, shift):
        x = jnp.tanh(hk.Embed(VOCABULARY, WIDTH, name="embed")(tokens) + shift).mean(1)
        x = hk.dropout(hk.next_rng_key(), 0.5, hk.BatchNorm(True, True, 0.9)(x, is_training=True))
        return hk.Linear(CLASSES)(x)

    model = hk.transform_with_state(network)
    params, state = model.init(jax.random.key(0), tokens, 0.0)
    params = jax.tree.map(lambda leaf: leaf.astype("float64"), params)
    f = lambda params, tokens, state, key, shift=0.0: model.apply(params, state, key, tokens, shift)  # noqa: E731
    key = jax.random.key(2)

    def losses(params, r):
        if where == "output":
            return loss(f(params, tokens, state, key, r)[0], labels)
        embed = {"embeddings": params["embed"]["embeddings"] + r}
        return loss(f({**params, "embed": embed}, tokens, state, key)[0], labels)

    zero = jnp.zeros((*tokens.shape, WIDTH) if where == "output" else (VOCABULARY, WIDTH))
    gradient = jax.grad(lambda r: losses(params, r).sum())(zero)
    r = scaled(gradient) if where == "output" else RADIUS * gradient / jnp.linalg.norm(gradient)
    objective = adversarial_training(f, loss, target, where=where, radius=RADIUS, has_aux=True)
    found = jax.jit(jax.grad(lambda params: objective(params, tokens, labels, state, key)[0].mean()))(params)
    assert_close(found, jax.grad(lambda params: losses(params, r).mean())(params))


# What the pages say.

PAGE = (Path(__file__).parents[3] / "docs" / "training-jax.md").read_text(encoding="utf-8")
RECIPES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("recipe", RECIPES, ids=["nnx", "linen", "equinox", "unlabelled"])
def test_recipes_run(recipe):
    names = {}
    exec(compile(recipe, "docs/training-jax.md", "exec"), names)
    assert np.isfinite(np.asarray(names["value"] if "value" in names else names["values"])).all()


KERAS = """
import jax, keras, numpy as np, optax
from impls.jax.training import adversarial_training

keras.utils.set_random_seed(0)
layers = [keras.layers.Dense(6, "tanh"), keras.layers.BatchNormalization(), keras.layers.Dropout(0.3)]
model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(3)])
x, labels = np.random.default_rng(0).standard_normal((8, 4)).astype("float32"), np.arange(8) % 3
loss = optax.softmax_cross_entropy_with_integer_labels
params, state = ([v.value for v in vs] for vs in (model.trainable_variables, model.non_trainable_variables))

def f(params, x, state):
    return model.stateless_call(params, state, x, training=True)

def by_hand(params):
    def losses(x):
        return loss(f(params, x, state)[0], labels)
    g = jax.lax.stop_gradient(jax.grad(lambda x: losses(x).sum())(x))
    return losses(x + 0.5 * g / jax.numpy.linalg.norm(g, axis=1, keepdims=True)).mean()

def value(params):
    values, state_now = adversarial_training(f, loss, radius=0.5, has_aux=True)(params, x, labels, state)
    return values.mean(), state_now

found, left = jax.jit(jax.grad(value, has_aux=True))(params)
for a, b in zip(found, jax.grad(by_hand)(params), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-6)
for a, b in zip(left, f(params, x, state)[1], strict=True):
    np.testing.assert_allclose(a, b, atol=1e-7)
"""


@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="keras is missing: tox -e ecosystem-jax has it")
def test_a_keras_model_on_jax_is_a_function_of_its_variables():
    """In a process of its own, since Keras chooses its backend when it is imported."""
    environment = os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-W", "ignore", "-c", KERAS], env=environment, check=True)
