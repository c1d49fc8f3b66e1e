"""Training with JAX: the perturbation is the contract's, nothing else is touched, what cannot work is refused."""

import hashlib
import os
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest

import impls

if (os.environ.get("EQUIREG_FRAMEWORK") or next(iter(impls.installed()), "")) != "jax":
    pytest.skip("another framework is tested in this process", allow_module_level=True)

import jax
import jax.numpy as jnp
import optax

from impls.jax.adversarial import adversarial_loss, fgm
from impls.jax.embedding import perturb_table
from impls.jax.losses import cross_entropy, entropy, kl_divergence
from impls.jax.norms import l2_norm, unit
from impls.jax.penalty import input_gradient_penalty
from impls.jax.training import adversarial_training, gradient_penalty_training, virtual_adversarial_training
from impls.jax.virtual_adversarial import vat_loss

pytestmark = pytest.mark.usefixtures("bridge")  # configures JAX before an array is made
BATCH, WIDTH, HIDDEN, CLASSES, VOCABULARY = 5, 4, 6, 3, 7
TABLE = "encoder/embedding"
every_target = pytest.mark.parametrize("target", [None, TABLE], ids=["input", "table"])


def image(params, x, dropout):
    """Inputs (B, 4) to logits (B, C)."""
    hidden = jnp.tanh(x @ params["hidden"]["kernel"] + params["hidden"]["bias"])
    hidden = hidden * jax.random.bernoulli(dropout, 0.6, hidden.shape) / 0.6
    return hidden @ params["output"]["kernel"] + params["output"]["bias"]


def text(params, tokens, dropout):
    """Tokens (B, T) to logits (B, C)."""
    return image(params["classifier"], jnp.tanh(params["encoder"]["embedding"][tokens].mean(1)), dropout)


def problem(target):
    """A model, parameters nested as Flax has them, inputs, labels, and a key for dropout."""
    rng = np.random.default_rng(0)
    params = {
        "hidden": {"kernel": rng.standard_normal((WIDTH, HIDDEN)), "bias": rng.standard_normal(HIDDEN)},
        "output": {"kernel": rng.standard_normal((HIDDEN, CLASSES)), "bias": rng.standard_normal(CLASSES)},
    }
    f, x, labels = image, rng.standard_normal((BATCH, WIDTH)), rng.integers(CLASSES, size=BATCH)
    if target:
        params = {"classifier": params, "encoder": {"embedding": rng.standard_normal((VOCABULARY, WIDTH))}}
        f, x = text, rng.integers(VOCABULARY - 1, size=(BATCH, 6))  # tokens repeat, and the last one does not occur
    return f, *jax.tree.map(jnp.asarray, (params, x, labels)), jax.random.key(7)


def perturbed(params, x, target):
    return params["encoder"]["embedding"] if target else x


def put(params, x, target, point):
    """The model's arguments with a point in the place of the one perturbed."""
    return ({**params, "encoder": {"embedding": point}}, x) if target else (params, point)


def made(method, f, target, *, loss=cross_entropy, **options):
    """An objective that takes a key, as that of VAT does."""
    objective = method(f, loss, target, **options)
    return objective if method is virtual_adversarial_training else lambda *batch, key: objective(*batch)


def slope_and_values(objective):
    """The gradient of the values' mean, which is what an optimiser is given, and the values."""

    def mean_and_values(params, *batch, **keys):
        values = objective(params, *batch, **keys)
        return values.mean(), values

    return jax.grad(mean_and_values, has_aux=True)


def digest(tree):
    """Hash of every array, of keys that of their data."""
    leaves = [
        leaf if jnp.issubdtype(leaf.dtype, np.number) else jax.random.key_data(leaf) for leaf in jax.tree.leaves(tree)
    ]
    return hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in leaves)).hexdigest()


def assert_close(found, wanted, units=32):
    """Equal to a few rounding units of the largest entry."""
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(wanted))
    differences = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), found, wanted)
    assert scale > 0 and max(jax.tree.leaves(differences)) <= units * 2**-53 * scale, differences


# The perturbation is the contract's: values and gradients are those of its functions, with parameters closed over. The
# dropout key is the same for both: passes that did not share their masks would be far off.

ATTACKS = [
    ("l2", "sample", 0.0),
    ("l2", "tensor", 0.0),
    ("linf", "sample", 0.3),
    ("l1", "sample", 0.0),
    ("raw", "sample", 0.5),
]


@every_target
@pytest.mark.parametrize(("norm", "scope", "clean_weight"), ATTACKS)
def test_adversarial_training_is_fgm(target, norm, scope, clean_weight):
    f, *batch = problem(target)

    def wanted(params, x, labels, dropout):
        def loss(point, params=params):
            return cross_entropy(f(*put(params, x, target, point), dropout), labels)

        point, held = perturbed(params, x, target), jax.lax.stop_gradient(params)
        if target is None:
            r = fgm(lambda x: loss(x, held), x, radius=0.5, norm=norm, scope=scope)
            return adversarial_loss(loss, x, r, clean_weight=clean_weight)
        r = perturb_table(lambda table: loss(table, held), point, radius=0.5, norm=norm)
        return clean_weight * loss(point) + (1 - clean_weight) * loss(point + r)

    options = {"radius": 0.5, "norm": norm, "scope": scope, "clean_weight": clean_weight}
    objective = adversarial_training(f, cross_entropy, target, **options)
    assert_close(slope_and_values(objective)(*batch), slope_and_values(wanted)(*batch))


@every_target
@pytest.mark.parametrize("norm", ["l2_squared", "l2", "l1"])
def test_gradient_penalty_training_is_input_gradient_penalty(target, norm):
    f, *batch = problem(target)

    def wanted(params, x, labels, dropout):
        def loss(point):
            return cross_entropy(f(*put(params, x, target, point), dropout), labels)

        if target is None:
            return loss(x) + 0.3 * input_gradient_penalty(loss, x, norm=norm)
        table = perturbed(params, x, target)
        slope = jax.grad(lambda table: loss(table).mean())(table)
        norms = {"l2_squared": jnp.square(slope).sum(), "l2": l2_norm(slope[None])[0], "l1": jnp.abs(slope).sum()}
        return loss(table) + 0.3 * norms[norm]

    objective = gradient_penalty_training(f, cross_entropy, target, weight=0.3, norm=norm)
    assert_close(slope_and_values(objective)(*batch), slope_and_values(wanted)(*batch))


@every_target
@pytest.mark.parametrize("how", ["fisher", "finite_difference"])
@pytest.mark.parametrize(("steps", "entropy_weight"), [(1, 0.0), (2, 0.5)])
def test_virtual_adversarial_training_is_vat_loss(target, steps, entropy_weight, how):
    f, *batch = problem(target)
    key = jax.random.key(3)
    options = {"radius": 0.5, "xi": 0.1, "steps": steps, "how": how, "entropy_weight": entropy_weight}

    def wanted(params, x, labels, dropout):
        def logits(point, params=params):
            return f(*put(params, x, target, point), dropout)

        now, held = perturbed(params, x, target), jax.lax.stop_gradient(params)
        start = jax.random.normal(key, now.shape, now.dtype)
        if target is None:
            smoothness = vat_loss(logits, x, start, **options)
            return cross_entropy(logits(x), labels) + 0.8 * smoothness
        fixed = jax.lax.stop_gradient(now)
        clean, direction = logits(fixed, held), unit(start, scope="tensor")
        for _ in range(steps):
            if how == "fisher":  # Jᵀ(diag p - ppᵀ)Jd
                p = jax.nn.softmax(clean)
                change = jax.jvp(lambda point: logits(point, held), (fixed,), (direction,))[1]
                weights = p * (change - (p * change).sum(1, keepdims=True))
                slope = jax.vjp(lambda point: logits(point, held), fixed)[1](weights)[0]
            else:
                slope = jax.grad(lambda r: kl_divergence(clean, logits(fixed + r, held)).sum())(0.1 * direction)
            direction = unit(slope, scope="tensor")
        penalty = kl_divergence(clean, logits(now + 0.5 * direction)) + entropy_weight * entropy(logits(now))
        return cross_entropy(logits(now), labels) + 0.8 * penalty

    objective = virtual_adversarial_training(f, cross_entropy, target, weight=0.8, **options)
    assert_close(
        slope_and_values(objective)(*batch, key=key), slope_and_values(wanted)(*batch), units=1024
    )  # rounding of a difference


def test_each_key_is_another_start():
    f, *batch = problem(None)
    objective = jax.jit(virtual_adversarial_training(f, cross_entropy, radius=0.5))
    first, again, other = (digest(objective(*batch, key=jax.random.key(seed))) for seed in (0, 0, 1))
    assert first == again != other


def test_repeated_tokens_share_one_perturbation():
    """Of the loss w·Σtable[tokens] the table's gradient is w times how often a token occurs."""
    rng = np.random.default_rng(0)
    tokens, w = rng.integers(VOCABULARY, size=(BATCH, 6)), rng.standard_normal(WIDTH)
    table = rng.standard_normal((VOCABULARY, WIDTH))

    def f(params, tokens):
        return params["embedding.weight"][tokens].sum(1) @ w[:, None]

    objective = adversarial_training(f, lambda outputs, labels: outputs[:, 0], "embedding.weight", radius=0.5)
    count = np.bincount(tokens.ravel(), minlength=VOCABULARY)
    r = 0.5 * np.outer(count / np.linalg.norm(count), w / np.linalg.norm(w))
    values = objective({"embedding.weight": jnp.asarray(table)}, jnp.asarray(tokens), None)
    np.testing.assert_allclose(values, (table + r)[tokens].sum(1) @ w, rtol=1e-13)


# What it costs, and what is off.

METHODS = {  # what switches it off; how often it calls the model and multiplies matrices: plainly 2 forward, 3 backward
    "adversarial": (adversarial_training, {"radius": 0.7}, {"radius": 0}, 2, 9),
    "half clean": (adversarial_training, {"radius": 0.7, "clean_weight": 0.5}, {"radius": 0.0}, 2, 12),
    "penalty": (gradient_penalty_training, {"weight": 0.7}, {"weight": 0.0}, 1, 11),
    "virtual": (virtual_adversarial_training, {"radius": 0.7}, {"radius": 0.0}, 2, 14),
    "with entropy": (virtual_adversarial_training, {"radius": 0.7, "entropy_weight": 1.0}, {"weight": 0.0}, 2, 14),
}
every_method = pytest.mark.parametrize(("method", "on", "off", "calls", "products"), METHODS.values(), ids=METHODS)


@every_method
def test_passes_are_shared(method, on, off, calls, products):
    f, params, *batch = problem(None)
    called = []

    def counted(*args):
        called.append(args)
        return f(*args)

    def count(**options):
        called.clear()
        objective = made(method, counted, None, **options)
        mean = jax.grad(lambda params: objective(params, *batch, key=jax.random.key(0)).mean())
        return len(called), str(jax.make_jaxpr(mean)(params)).count("dot_general")

    assert count(**on)[1] == products and len(called) == calls
    assert count(**{**on, **off})[1] == 5 and len(called) == 1


@pytest.mark.parametrize("name", ["adversarial", "half clean", "virtual"])
def test_one_derivative_is_enough(name):
    """A kernel of one's own often has no second."""

    @jax.custom_vjp
    def square(x):
        return x * x

    def backward(x, slope):
        return (jax.pure_callback(lambda x, slope: 2 * x * slope, slope, x, slope),)

    square.defvjp(lambda x: (x * x, x), backward)
    _, _, x, labels, _ = problem(None)

    def slope(square, **more):
        objective = made(METHODS[name][0], lambda scale, x: square(scale * x), None, **METHODS[name][1], **more)
        mean = jax.grad(lambda scale: objective(scale, x, labels % WIDTH, key=jax.random.key(3)).mean())
        return jax.jit(mean)(jnp.ones(WIDTH))

    if name == "virtual":
        with pytest.raises(ValueError, match=r"f: got an operation whose backward pass JAX does not transpose"):
            slope(square)
    more = {"how": "finite_difference"} if name == "virtual" else {}
    assert_close(slope(square, **more), slope(jnp.square, **more))


def with_statistics(f):
    """The model with its outputs normalised over the batch, and new statistics."""

    def normalized(params, x, statistics, dropout):
        logits = f(params, x, dropout)
        mean, variance = logits.mean(0), logits.var(0)
        new = {"mean": 0.9 * statistics["mean"] + 0.1 * mean, "batches": statistics["batches"] + 1}
        return (logits - mean) / jnp.sqrt(variance + 1e-3), new

    return normalized


def plain(f, loss, target=None, has_aux=True):
    def objective(params, x, labels, *rest):
        outputs, state = f(params, x, *rest)
        return loss(outputs, labels), state

    return objective


def trained(objective, target, *, steps, jit):
    """Everything there is after so many steps of Adam: parameters, optimiser's state, statistics, key."""
    _, params, x, labels, key = problem(target)
    optimizer = optax.adam(0.1)

    def step(params, state, statistics, key):
        key, dropout, start = jax.random.split(key, 3)

        def mean(params):
            values, new = objective(params, x, labels, statistics, dropout, key=start)
            return values.mean(), new

        gradient, statistics = jax.grad(mean, has_aux=True)(params)
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, statistics, key

    step = jax.jit(step, donate_argnums=(0, 1, 2)) if jit else step
    everything = params, optimizer.init(params), {"mean": jnp.zeros(CLASSES), "batches": jnp.zeros((), int)}, key
    for _ in range(steps):
        everything = step(*everything)
    return everything


@cache
def plainly(target, **how):
    return digest(trained(made(plain, with_statistics(problem(target)[0]), target), target, **how))


@every_target
@every_method
def test_off_is_plain_training_to_the_last_bit(target, method, on, off, calls, products):
    objective = made(method, with_statistics(problem(target)[0]), target, has_aux=True, **{**on, **off})
    assert digest(trained(objective, target, steps=5, jit=True)) == plainly(target, steps=5, jit=True)


@every_target
@every_method
def test_passes_that_add_nothing_change_no_bit(target, method, on, off, calls, products):
    """A 0 in an array is not seen: all passes are there, with what they draw and the statistics that they make."""
    off = {name: jnp.zeros(()) for name in off}
    objective = made(method, with_statistics(problem(target)[0]), target, has_aux=True, **{**on, **off})
    assert digest(trained(objective, target, steps=2, jit=False)) == plainly(target, steps=2, jit=False)


@every_target
@every_method
def test_statistics_are_those_of_the_clean_batch(target, method, on, off, calls, products):
    f, params, x, labels, dropout = problem(target)
    f, statistics = with_statistics(f), {"mean": jnp.ones(CLASSES), "batches": jnp.ones((), int)}
    objective = made(method, f, target, has_aux=True, **on)
    _, found = objective(params, x, labels, statistics, dropout, key=jax.random.key(3))
    assert digest(found) == digest(f(params, x, statistics, dropout)[1])


# Nothing else is touched.


@every_target
@every_method
def test_arguments_are_what_they_were(target, method, on, off, calls, products):
    """Also where the last pass raises."""
    f, *given = problem(target)
    key = jax.random.key(3)
    before, called = digest((given, key)), []

    def failing(*args):
        called.append(args)
        if len(called) == calls:
            raise FloatingPointError("in the last pass")
        return f(*args)

    made(method, f, target, **on)(*given, key=key)
    assert digest((given, key)) == before
    with pytest.raises(FloatingPointError, match="in the last pass"):
        made(method, failing, target, **on)(*given, key=key)
    assert digest((given, key)) == before


def test_the_key_is_drawn_from_once():
    _, params, x, labels, _ = problem(None)
    objective = virtual_adversarial_training(lambda params, x: x @ params, cross_entropy, radius=0.5, steps=3)
    with jax.debug_key_reuse(True):
        key = jax.random.key(3)
        jax.jit(objective)(params["output"]["kernel"][:WIDTH], x, labels, key=key)
        with pytest.raises(jax.errors.KeyReuseError):
            jax.random.normal(key)


# Numbers that are traced, other dtypes, parameters of any structure.

TRACED = {
    "adversarial": lambda a, b: (adversarial_training, {"radius": a, "clean_weight": b}),
    "penalty": lambda a, b: (gradient_penalty_training, {"weight": a}),
    "virtual": lambda a, b: (virtual_adversarial_training, {"radius": a, "xi": b, "weight": b, "entropy_weight": b}),
}
every_traced = pytest.mark.parametrize("options", TRACED.values(), ids=TRACED)


@every_traced
def test_numbers_may_be_traced(options):
    """Where the number is 0, too: XLA rounds differently with passes that add nothing, but no more than that."""
    f, params, *batch = problem(None)

    def slope(a, b):
        method, numbers = options(a, b)
        objective = made(method, f, None, **numbers)
        return jax.grad(lambda params: objective(params, *batch, key=jax.random.key(3)).mean())(params)

    traced = jax.jit(slope)
    assert_close(traced(0.3, 0.4), slope(0.3, 0.4), units=1024)
    assert_close(traced(0.0, 0.4), slope(0.0, 0.4))


@every_traced
def test_half_precision_stays_half(options):
    """The float32 of a schedule would carry the whole model with it."""
    seen = []

    def f(params, x):
        seen.append(x.dtype)
        return x @ params

    method, numbers = options(jnp.float32(0.3), jnp.float32(0.4))
    params, x = jnp.ones((WIDTH, CLASSES), jnp.bfloat16), jnp.ones((BATCH, WIDTH), jnp.bfloat16)
    jax.eval_shape(lambda: made(method, f, None, **numbers)(params, x, np.zeros(BATCH, int), key=jax.random.key(3)))
    assert set(seen) == {jnp.dtype(jnp.bfloat16)}


class Encoder(NamedTuple):
    embedding: jax.Array


@pytest.mark.parametrize(
    ("target", "params"),
    [
        ("embedding.weight", lambda table, other: {"embedding.weight": table, "output.weight": other}),
        ("embedding", lambda table, other: {"params": {"encoder": {"embedding": table}, "output": {"kernel": other}}}),
        ("encoder/embedding", lambda table, other: {"params": {"encoder": {"embedding": table}}, "embedding": other}),
        ("embedding", lambda table, other: {"params": {"encoder": {"embedding": other}}, "embedding": table}),
        ("embedding", lambda table, other: {"my_embedding": other, "embedding": {"embedding": table}, "none": None}),
        ("text/~/embed/w", lambda table, other: {"text/~/embed": {"w": table}, "image/~/embed": {"w": other}}),
        ("encoder/embedding", lambda table, other: [Encoder(other), {"encoder": Encoder(table)}]),
        ("1/embedding", lambda table, other: (Encoder(other), Encoder(table))),
    ],
)
def test_the_named_table_and_no_other_is_perturbed(target, params):
    """A name ends the path, in whole parts; one that is the path comes first."""
    seen = []

    def f(params, tokens):
        seen.append(params)
        return sum(leaf[tokens[:, 0]] for leaf in jax.tree.leaves(params))

    table, other = jnp.ones((VOCABULARY, WIDTH)), jnp.zeros((VOCABULARY, WIDTH))
    objective = adversarial_training(f, lambda outputs, labels: outputs.sum(1), target, radius=1.0, norm="raw")
    objective(params(table, other), jnp.zeros((BATCH, 1), int), None)
    wanted = params(table.at[0].add(BATCH), other)
    assert jax.tree.structure(seen[-1]) == jax.tree.structure(wanted)
    assert digest(seen[-1]) == digest(wanted)


# What cannot work is refused.

BAD_OPTIONS = {  # method, options, what the message must say: the argument, what came, what was expected
    "negative radius": (adversarial_training, {"radius": -1.0}, "radius", "-1.0", "≥ 0"),
    "NaN radius": (virtual_adversarial_training, {"radius": float("nan")}, "radius", "nan", "finite"),
    "radius a sample": (adversarial_training, {"radius": np.ones(BATCH)}, "radius", "(5,)", "a scalar"),
    "negative weight": (gradient_penalty_training, {"weight": -1.0}, "weight", "-1.0", "≥ 0"),
    "clean weight in per cent": (adversarial_training, {"radius": 1, "clean_weight": 50}, "clean_weight", "50", "≤ 1"),
    "unknown norm": (adversarial_training, {"radius": 1, "norm": "l3"}, "norm", "'l3'", "'raw'"),
    "another method's norm": (gradient_penalty_training, {"weight": 1, "norm": "raw"}, "norm", "'raw'", "'l2_squared'"),
    "unknown scope": (adversarial_training, {"radius": 1, "scope": "batch"}, "scope", "'batch'", "'tensor'"),
    "no step": (virtual_adversarial_training, {"radius": 1, "steps": 0}, "steps", "0", "≥ 1"),
    "no xi": (virtual_adversarial_training, {"radius": 1, "xi": 0.0}, "xi", "0.0", "> 0"),
}


@pytest.mark.parametrize(
    ("method", "options", "said"), [(m, o, w) for m, o, *w in BAD_OPTIONS.values()], ids=BAD_OPTIONS
)
def test_bad_options_are_refused(method, options, said):
    with pytest.raises(ValueError, match=said[0]) as refusal:
        method(image, cross_entropy, **options)
    assert all(words in str(refusal.value) for words in said), refusal.value


def of_batch(x, **rest):
    return {"x": x, "labels": np.zeros(len(x), int), **rest}


BAD_CALLS = {  # (target, arguments that are others), what the message must say
    "integers": (None, of_batch(np.ones((2, WIDTH), int)), "x", "int64", "floating", "target="),
    "empty batch": (None, of_batch(np.ones((0, WIDTH))), "x", "(0, 4)", "at least one"),
    "no batch": (None, {"x": np.float64(1)}, "x", "()", "(B, *S)"),
    "loss a class": (None, {"loss": lambda outputs, labels: outputs}, "loss", "(5, 3)", "(5,)"),
    "loss of others": (None, {"loss": lambda *given: cross_entropy(*given)[1:]}, "loss", "(4,)", "(5,)"),
    "no state": (None, {"has_aux": True}, "f", "(outputs, state)", "has_aux"),
    "no such table": ("embed", {}, "'embed'", "encoder/embedding", "classifier/hidden/kernel", "not in params"),
    "a part of a part": ("coder/embedding", {}, "'coder/embedding'", "encoder/embedding", "not in params"),
    "two tables": ("kernel", {}, "'kernel'", "classifier/hidden/kernel, classifier/output/kernel", "more of its path"),
    "a vector": ("hidden/bias", {}, "'hidden/bias'", "(6,)", "encoder/embedding"),
    "integers for a table": ("n", {"f": lambda params, x: x, "params": {"n": np.ones((2, 2), int)}}, "'n'", "none"),
}
every_bad_call = pytest.mark.parametrize(
    ("target", "others", "said"),
    [(target, others, said) for target, others, *said in BAD_CALLS.values()],
    ids=BAD_CALLS,
)
BARE = {"adversarial": (adversarial_training, {"radius": 0.5}), "penalty": (gradient_penalty_training, {"weight": 0.5})}
BARE["virtual"] = (virtual_adversarial_training, {"radius": 0.5})
every_bare = pytest.mark.parametrize(("method", "options"), BARE.values(), ids=BARE)


def objective_and_batch(method, options, target, *, f=None, loss=cross_entropy, has_aux=False, **others):
    model, *batch = problem(target)
    batch = dict(zip(("params", "x", "labels", "dropout"), batch, strict=True)) | others
    objective = made(method, f or model, target, loss=loss, has_aux=has_aux, **options)
    return lambda *batch: objective(*batch, key=jax.random.key(0)), tuple(batch.values())


@every_bare
@every_bad_call
def test_bad_calls_are_refused_when_traced(method, options, target, others, said):
    objective, batch = objective_and_batch(method, options, target, **others)
    with pytest.raises((TypeError, ValueError)) as refusal:
        jax.eval_shape(objective, *batch)
    assert all(words in str(refusal.value) for words in said), refusal.value


NAN = {
    "in x": (None, {"x": np.full((BATCH, WIDTH), np.nan)}, "x"),
    "in the table": (
        "t",
        {"f": lambda params, x, _: params["t"][:BATCH], "params": {"t": np.full((7, 3), np.inf)}},
        "t",
    ),
    "from the loss": (None, {"loss": lambda *given: cross_entropy(*given) * np.nan}, "loss"),
}


REDUCED = {
    "raw": (adversarial_training, {"radius": 0.5, "norm": "raw"}),
    "penalty": (gradient_penalty_training, {"weight": 0.5}),
}


@pytest.mark.parametrize(("method", "options"), REDUCED.values(), ids=REDUCED)
def test_a_reduced_loss_is_refused_where_its_factor_counts(method, options):
    mean = {"loss": lambda *given: cross_entropy(*given).mean()}
    objective, batch = objective_and_batch(method, options, None, **mean)
    with pytest.raises(ValueError, match=r"loss: got shape \(\) .*expected \(B,\).*not reduced"):
        jax.eval_shape(objective, *batch)


@pytest.mark.parametrize("slope", [False, True], ids=["called", "differentiated"])
@pytest.mark.parametrize(("target", "others", "said"), NAN.values(), ids=NAN)
@every_bare
def test_nan_is_refused_where_there_are_values(method, options, target, others, said, slope):
    objective, (params, *batch) = objective_and_batch(method, options, target, **others)
    run = (
        jax.grad(lambda params: objective(params, *batch).mean()) if slope else lambda params: objective(params, *batch)
    )
    with pytest.raises(ValueError, match=rf"{said}: got NaN or infinity"):
        run(params)


@pytest.mark.parametrize("method", ["adversarial", "penalty"])
def test_nan_from_a_derivative_is_refused(method):
    """√ at 0 has none."""
    loss = {"loss": lambda outputs, labels: jnp.sqrt(jnp.abs(outputs * 0)).sum(1)}
    objective, batch = objective_and_batch(*BARE[method], None, **loss)
    with pytest.raises(ValueError, match=r"loss.*: got NaN"):
        objective(*batch)


def test_a_start_without_a_key_is_refused():
    f, *batch = problem(None)
    with pytest.raises(TypeError, match="'key'"):
        virtual_adversarial_training(f, cross_entropy, radius=0.5)(*batch)


def test_vat_on_one_logit_is_refused():
    """Its softmax is constant, and what is added to the loss would be 0."""
    objective = virtual_adversarial_training(lambda params, x: x @ params, lambda f, labels: f[:, 0] ** 2, radius=0.5)
    with pytest.raises(ValueError, match=r"f: got shape \(5, 1\), expected logits of two classes or more.*\[z, 0\]"):
        objective(jnp.ones((WIDTH, 1)), jnp.ones((BATCH, WIDTH)), None, key=jax.random.key(0))
