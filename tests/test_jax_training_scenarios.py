"""Training in JAX as people's steps have it: each scenario against the step written by hand, or refused in words."""

import os

import numpy as np
import pytest

import impls

if (os.environ.get("EQUIREG_FRAMEWORK") or next(iter(impls.installed()), "")) != "jax":
    pytest.skip("another framework is tested in this process", allow_module_level=True)

import jax
import jax.numpy as jnp
import optax

from impls.jax.adversarial import freelb_loss, pgd
from impls.jax.losses import cross_entropy, entropy, kl_divergence
from impls.jax.objectives import Ascent
from impls.jax.penalty import input_gradient_penalty
from impls.jax.sampling import _ball
from impls.jax.smoothness import Smoothness
from impls.jax.training import (
    adversarial_training,
    freelb_training,
    gradient_penalty_training,
    virtual_adversarial_training,
)

pytestmark = pytest.mark.usefixtures("bridge")
BATCH, LENGTH, WIDTH, CLASSES, VOCABULARY, RADIUS = 6, 3, 4, 3, 7, 0.5
KEY = 3


def numbers():
    """Parameters, inputs (B, 4) and (B, 3, 4), tokens (B, 3), a padding mask, labels (B,) and (B, 3)."""
    rng = np.random.default_rng(0)
    params = {"table": rng.standard_normal((VOCABULARY, WIDTH)), "kernel": rng.standard_normal((WIDTH, CLASSES))}
    x, sequences = rng.standard_normal((BATCH, WIDTH)), rng.standard_normal((BATCH, LENGTH, WIDTH))
    mask = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0]] * 2, float)
    tokens, labels = rng.integers(VOCABULARY, size=(BATCH, LENGTH)), rng.integers(CLASSES, size=BATCH)
    each = {"params": params, "x": x, "sequences": sequences, "tokens": tokens, "mask": mask, "labels": labels}
    return jax.tree.map(jnp.asarray, each | {"each": rng.integers(CLASSES, size=(BATCH, LENGTH))})


def image(params, x):
    return jnp.tanh(x @ params["kernel"])


def text(params, tokens):
    return image(params, jnp.tanh(params["table"][tokens]).mean(1))


def tagger(params, sequences, *mask):
    """Logits (B, T, C); positions see one another."""
    return jnp.tanh(sequences + sequences.mean(1, keepdims=True)) @ params["kernel"]


def assert_close(found, wanted, units=64):
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(wanted))
    assert scale > 0
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=units * 2**-53 * scale)


def slopes(objective):
    """Compiled: the gradient of the values' mean in the parameters, and the values."""

    def run(params):
        values = objective(params)
        return values.mean(), values

    return jax.jit(jax.grad(run, has_aux=True))


def length(r):
    """Of one vector a sample, to divide by."""
    return jnp.sqrt(jnp.square(r).sum(tuple(range(1, r.ndim)), keepdims=True))


# What is perturbed: a leaf of any pytree, several of them as one vector, under a mask.


def pair(params, x):
    return image(params, x["a"] + jnp.tanh(x["b"]["c"]) * x["scale"][:, None])


@pytest.mark.parametrize("target", ["a", "c", ["a", "b/c"]], ids=["a", "c", "both"])
def test_leaves_of_a_pytree(target):
    n = numbers()
    x = {"a": n["x"], "b": {"c": n["x"][::-1], "ids": n["tokens"]}, "scale": n["mask"][:, 0]}
    objective = adversarial_training(pair, cross_entropy, target, radius=RADIUS, where="input")

    def moved(a, c):
        return x | {"a": x["a"] + a, "b": x["b"] | {"c": x["b"]["c"] + c}}

    zero = jnp.zeros_like(n["x"])
    slope = jax.grad(lambda a, c: cross_entropy(pair(n["params"], moved(a, c)), n["labels"]).sum(), (0, 1))(zero, zero)
    kept = [slope[0] if target != "c" else zero, slope[1] if target != "a" else zero]
    norm = jnp.sqrt(sum(jnp.square(part).sum(1, keepdims=True) for part in kept))
    a, c = (RADIUS * part / norm for part in kept)
    wanted = slopes(lambda params: cross_entropy(pair(params, moved(a, c)), n["labels"]))(n["params"])
    assert_close(slopes(lambda params: objective(params, x, n["labels"]))(n["params"]), wanted)


def test_a_position_of_a_tuple():
    n = numbers()
    f = lambda params, x: image(params, x[1]) + x[0][:, None]  # noqa: E731
    objective = adversarial_training(f, cross_entropy, 1, radius=RADIUS, where="input")
    values = objective(n["params"], (n["x"][:, 0], n["x"]), n["labels"])
    shifted = adversarial_training(lambda params, x: f(params, (n["x"][:, 0], x)), cross_entropy, radius=RADIUS)
    assert_close(values, shifted(n["params"], n["x"], n["labels"]))


def test_several_tables_are_one_vector():
    """A table that is read in two places is one: every use sees table + r."""
    n = numbers()
    params = n["params"] | {"other": n["params"]["table"][::-1]}

    def f(params, tokens):
        tied = jnp.tanh(params["table"][tokens] + params["other"][tokens]).mean(1)
        return tied @ params["table"].T

    objective = adversarial_training(f, cross_entropy, ["table", "other"], radius=RADIUS)
    losses = lambda params: cross_entropy(f(params, n["tokens"]), n["labels"])  # noqa: E731
    slope = jax.grad(lambda params: losses(params).sum())(params)
    norm = jnp.sqrt(sum(jnp.square(slope[name]).sum() for name in ("table", "other")))
    r = {name: RADIUS * slope[name] / norm for name in ("table", "other")}
    wanted = slopes(lambda p: losses(p | {name: p[name] + r[name] for name in r}))(params)
    assert_close(slopes(lambda params: objective(params, n["tokens"], n["labels"]))(params), wanted)


MASKS = {"function": lambda x, mask: mask, "key": "mask"}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_padding_is_left_alone(mask):
    n = numbers()
    f = lambda params, x, *rest: tagger(params, x["h"] if isinstance(x, dict) else x).mean(1)  # noqa: E731
    x, rest = (n["sequences"], (n["mask"],)) if callable(mask) else ({"h": n["sequences"], "mask": n["mask"]}, ())
    target = None if callable(mask) else "h"
    objective = adversarial_training(f, cross_entropy, target, radius=RADIUS, where="input", mask=mask)
    losses = lambda params, h: cross_entropy(f(params, h), n["labels"])  # noqa: E731
    slope = jax.grad(lambda h: losses(n["params"], h).sum())(n["sequences"]) * n["mask"][:, :, None]
    r = RADIUS * slope / length(slope)
    wanted = slopes(lambda params: losses(params, n["sequences"] + r))(n["params"])
    assert_close(slopes(lambda params: objective(params, x, n["labels"], *rest))(n["params"]), wanted)


def test_f_in_two_halves_is_perturbed_between_them():
    """x may itself be computed from the parameters: gradients flow through it."""
    n = numbers()
    objective = adversarial_training(image, cross_entropy, radius=RADIUS)
    hidden = lambda params: jnp.tanh(params["table"][n["tokens"]]).mean(1)  # noqa: E731
    slope = jax.grad(lambda h: cross_entropy(image(n["params"], h), n["labels"]).sum())(hidden(n["params"]))
    r = RADIUS * slope / length(slope)
    wanted = slopes(lambda params: cross_entropy(image(params, hidden(params) + r), n["labels"]))(n["params"])
    assert_close(slopes(lambda params: objective(params, hidden(params), n["labels"]))(n["params"]), wanted)


# PGD, FreeLB, and every way to a penalty: those of the contract.


@pytest.mark.parametrize("start", ["zero", "random"])
@pytest.mark.parametrize(("norm", "bounds"), [("l2", None), ("linf", (-2.5, 2.5)), ("l1", None)])
def test_pgd(norm, bounds, start):
    n, keys = numbers(), {"key": jax.random.key(KEY)} if start == "random" else {}
    options = {"radius": RADIUS, "norm": norm, "bounds": bounds, "steps": 3}
    objective = adversarial_training(image, cross_entropy, start=start, **options)
    loss = lambda x: cross_entropy(image(n["params"], x), n["labels"])  # noqa: E731
    drawn = RADIUS * _ball(jax.random.key(KEY), n["x"].shape, n["x"].dtype, norm)
    r = pgd(loss, n["x"], drawn if keys else 0 * drawn, step=2.5 * RADIUS / 3, **options)
    wanted = slopes(lambda params: cross_entropy(image(params, n["x"] + r), n["labels"]))(n["params"])
    assert_close(slopes(lambda params: objective(params, n["x"], n["labels"], **keys))(n["params"]), wanted)


def test_freelb():
    n, options = numbers(), {"radius": RADIUS, "step": 0.2, "steps": 3}
    objective = freelb_training(image, cross_entropy, **options)
    start = RADIUS * _ball(jax.random.key(KEY), n["x"].shape, n["x"].dtype, "l2")
    by_hand = lambda params: freelb_loss(  # noqa: E731
        lambda x: cross_entropy(image(params, x), n["labels"]), n["x"], start, **options
    )[0]
    found = slopes(lambda params: objective(params, n["x"], n["labels"], key=jax.random.key(KEY)))(n["params"])
    assert_close(found, slopes(by_hand)(n["params"]))


@pytest.mark.parametrize("how", ["forward_over_reverse", "finite_difference"])
@pytest.mark.parametrize("of_table", [False, True], ids=["input", "table"])
def test_ways_to_a_penalty(how, of_table):
    n = numbers()
    f, x, target = (text, n["tokens"], "table") if of_table else (image, n["x"], None)
    objective = gradient_penalty_training(f, cross_entropy, target, weight=0.3, norm="l2", how=how, xi=1e-3)

    def by_hand(params):
        if not of_table:
            loss = lambda x: cross_entropy(image(params, x), n["labels"])  # noqa: E731
            return loss(x) + 0.3 * input_gradient_penalty(loss, x, norm="l2")
        losses = lambda table: cross_entropy(text(params | {"table": table}, x), n["labels"])  # noqa: E731
        gradient = jax.grad(lambda table: losses(table).mean())(params["table"])
        return losses(params["table"]) + 0.3 * jnp.sqrt(jnp.square(gradient).sum())

    units = 64 if how == "forward_over_reverse" else 2**33  # of a difference: the square of xi
    found = slopes(lambda params: objective(params, x, n["labels"]))(n["params"])
    assert_close(found, slopes(by_hand)(n["params"]), units)


# Losses: one a token, with weights, their mean.


def token_losses(logits, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)  # (B, T)


def test_one_loss_a_token():
    n = numbers()
    objective = adversarial_training(tagger, token_losses, radius=RADIUS, norm="raw")
    losses = lambda params, x: token_losses(tagger(params, x), n["each"])  # noqa: E731
    r = RADIUS * jax.grad(lambda x: losses(n["params"], x).mean(1).sum())(n["sequences"])
    wanted = slopes(lambda params: losses(params, n["sequences"] + r))(n["params"])
    assert_close(slopes(lambda params: objective(params, n["sequences"], n["each"]))(n["params"]), wanted)


@pytest.mark.parametrize("radius", [0, RADIUS])
def test_weights_divide_as_the_frameworks_own_mean(radius):
    """Padded labels weigh 0. With radius 0 it is the plain mean to the last bit."""
    n = numbers()
    loss = lambda logits, labels: (token_losses(logits, labels) * n["mask"], n["mask"])  # noqa: E731
    objective = gradient_penalty_training(tagger, loss, weight=radius)
    losses = lambda params, x: token_losses(tagger(params, x), n["each"]) * n["mask"]  # noqa: E731

    def found(params):
        values, weights = objective(params, n["sequences"], n["each"])
        return values.sum() / weights.sum()

    def wanted(params):
        if not radius:
            return losses(params, n["sequences"]).sum() / n["mask"].sum()
        tokens = n["mask"].sum(1)
        slope = jax.grad(lambda x: (losses(params, x).sum(1) / tokens).sum())(n["sequences"])
        own = losses(params, n["sequences"]).sum() + (tokens * radius * jnp.square(slope).sum((1, 2))).sum()
        return own / n["mask"].sum()

    compare = assert_close if radius else np.testing.assert_array_equal
    a, b = (jax.jit(jax.grad(f))(n["params"])["kernel"] for f in (found, wanted))
    compare(a, b)


def test_the_mean_of_a_batch_where_a_factor_does_not_count():
    n = numbers()
    mean = lambda *given: cross_entropy(*given).mean()  # noqa: E731
    keys = {"key": jax.random.key(KEY)}
    for method, options in (
        (adversarial_training, {"radius": RADIUS, "clean_weight": 0.3, "steps": 2}),
        (freelb_training, {"radius": RADIUS, "step": 0.2, "steps": 2}),
        (virtual_adversarial_training, {"radius": RADIUS, "xi": 0.1}),
    ):
        given = n["params"], n["x"], n["labels"]
        assert_close(
            method(image, mean, **options)(*given, **keys),
            method(image, cross_entropy, **options)(*given, **keys).mean(),
        )


# Virtual adversarial training without labels, of tokens, of a sigmoid, of outputs that have logits in them.


def virtual(logits, x, *, share=1.0, mask=1.0):
    """r by a power step by hand, Jᵀ(diag p - ppᵀ)Jd; logits: x -> (B, ..., C), of which each has its share."""
    start = jax.random.normal(jax.random.key(KEY), x.shape, x.dtype) * mask
    clean, change = jax.jvp(logits, (x,), (start / length(start),))
    p = jax.nn.softmax(clean)
    weights = share * p * (change - (p * change).sum(-1, keepdims=True))
    slope = jax.vjp(logits, x)[1](weights)[0] * mask
    return RADIUS * slope / length(slope)


def test_an_unlabelled_batch():
    n = numbers()
    objective = virtual_adversarial_training(image, radius=RADIUS, entropy_weight=0.5)
    r = virtual(lambda x: image(n["params"], x), n["x"])

    def by_hand(params):
        clean = image(params, n["x"])
        return kl_divergence(jax.lax.stop_gradient(clean), image(params, n["x"] + r)) + 0.5 * entropy(clean)

    found = slopes(lambda params: objective(params, n["x"], key=jax.random.key(KEY)))(n["params"])
    assert_close(found, slopes(by_hand)(n["params"]))


def test_logits_of_tokens_under_a_mask():
    n = numbers()
    options = {"radius": RADIUS, "mask": lambda x, mask: mask, "logits": lambda outputs: outputs[0]}
    objective = virtual_adversarial_training(lambda *given: (tagger(*given), "more"), **options)
    tokens = n["mask"].sum(1)
    mean = lambda values: (values * n["mask"]).sum(1) / tokens  # noqa: E731
    mask = n["mask"][:, :, None]
    r = virtual(lambda x: tagger(n["params"], x), n["sequences"], share=mask / tokens[:, None, None], mask=mask)

    def by_hand(params):
        clean = jax.lax.stop_gradient(tagger(params, n["sequences"]))
        return mean(jax.vmap(kl_divergence, 1, 1)(clean, tagger(params, n["sequences"] + r)))

    found = slopes(lambda params: objective(params, n["sequences"], n["mask"], key=jax.random.key(KEY)))(n["params"])
    assert_close(found, slopes(by_hand)(n["params"]))


HALVES = {  # dtypes of the parameters and of what is computed
    "bfloat16": ("bfloat16", "bfloat16"),
    "float16": ("float16", "float16"),
    "float32, computed in bfloat16": ("float32", "bfloat16"),
    "float32, computed in float16": ("float32", "float16"),
}


@pytest.mark.parametrize("site", ["input under a mask", "table"])
@pytest.mark.parametrize("half", HALVES)
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


def lengths(x):
    return jnp.sqrt(jnp.square(x).sum(tuple(range(1, x.ndim)), keepdims=True))


@pytest.mark.parametrize("one", [slice(0, 1), 0], ids=["(B, 1)", "(B,)"])
def test_the_logit_of_a_sigmoid(one):
    """The pair [z, 0] has the sigmoid's probabilities."""
    n, key = numbers(), jax.random.key(KEY)
    single = virtual_adversarial_training(lambda *given: image(*given)[:, one], radius=RADIUS, outputs="sigmoid")
    two = virtual_adversarial_training(lambda *given: image(*given)[:, :1] * jnp.array([[1.0, 0.0]]), radius=RADIUS)
    assert_close(single(n["params"], n["x"], key=key), two(n["params"], n["x"], key=key))


# Compilation and differentiation.


def test_numbers_of_a_schedule_compile_once():
    """A radius at the call takes the place of the one before it; Python's numbers have weak types."""
    n, compiled = numbers(), []
    objective = adversarial_training(image, cross_entropy, radius=1.0)

    @jax.jit
    def step(params, radius):
        compiled.append(radius)
        values, slope = jax.value_and_grad(lambda p: objective(p, n["x"], n["labels"], radius=radius).mean())(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, slope), values

    params, schedule = n["params"], optax.linear_schedule(0.1, 0.5, 3)
    for count in range(3):
        params, value = step(params, schedule(count))
        assert not params["kernel"].weak_type and not value.weak_type
    assert len(compiled) == 1
    fixed = adversarial_training(image, cross_entropy, radius=0.3)(n["params"], n["x"], n["labels"])
    assert_close(objective(n["params"], n["x"], n["labels"], radius=0.3), fixed)
    with pytest.raises(ValueError, match=r"radius: got -1"):
        objective(n["params"], n["x"], n["labels"], radius=-1)
    with pytest.raises(TypeError, match="radius: got <"):
        adversarial_training(image, cross_entropy, radius=schedule)


def test_accumulation_over_micro_batches():
    """A scan over parts of the batch, and Optax's MultiSteps: each sample's perturbation is its own."""
    n = numbers()
    objective = adversarial_training(image, cross_entropy, radius=RADIUS)
    mean = lambda params, x, labels: objective(params, x, labels).mean()  # noqa: E731
    whole = jax.jit(jax.grad(mean))(n["params"], n["x"], n["labels"])
    parts = n["x"].reshape(2, 3, WIDTH), n["labels"].reshape(2, 3)

    @jax.jit
    def accumulated(params):
        add = lambda total, part: (jax.tree.map(jnp.add, total, jax.grad(mean)(params, *part)), None)  # noqa: E731
        total, _ = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, params), parts)
        return jax.tree.map(lambda leaf: leaf / 2, total)

    assert_close(accumulated(n["params"])["kernel"], whole["kernel"])
    optimizer = optax.MultiSteps(optax.chain(optax.clip_by_global_norm(0.01), optax.sgd(1.0)), 2)
    state = optimizer.init(n["params"])
    for part in zip(*parts, strict=True):
        updates, state = optimizer.update(jax.grad(mean)(n["params"], *part), state, n["params"])
    np.testing.assert_allclose(optax.tree.norm(updates), 0.01)


def test_ensembles_rematerialisation_and_scaled_losses():
    n = numbers()
    objective = adversarial_training(image, cross_entropy, radius=RADIUS)
    several = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), n["params"])
    found = jax.jit(jax.vmap(objective, (0, None, None)))(several, n["x"], n["labels"])
    assert_close(found[1], objective(jax.tree.map(lambda leaf: 2 * leaf, n["params"]), n["x"], n["labels"]))
    rematerialised = adversarial_training(
        jax.checkpoint(image), lambda *given: 1024 * cross_entropy(*given), radius=RADIUS
    )
    assert_close(rematerialised(n["params"], n["x"], n["labels"]), 1024 * objective(n["params"], n["x"], n["labels"]))


def test_derivatives_of_an_objective():
    """In forward mode, and again: the gradient of a penalty on the objective."""
    n = numbers()
    objective = adversarial_training(image, cross_entropy, radius=RADIUS)
    mean = lambda params: objective(params, n["x"], n["labels"]).mean()  # noqa: E731
    slope = jax.grad(mean)(n["params"])
    _, along = jax.jvp(mean, (n["params"],), (slope,))
    square = lambda tree: sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(tree))  # noqa: E731
    assert_close(along, square(slope))
    second = jax.jit(jax.grad(lambda params: square(jax.grad(mean)(params))))(n["params"])["kernel"]
    assert float(jnp.abs(second).max()) > 0


def test_settings_of_jax():
    """Strict promotion of dtypes and ranks, checks of keys and of NaN: nothing is promoted, drawn twice or lost."""
    n, key = numbers(), jax.random.key
    half = jax.tree.map(lambda leaf: leaf.astype("bfloat16") if leaf.dtype == "float64" else leaf, n)
    strict = jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise")
    objectives = [
        (adversarial_training(image, cross_entropy, radius=RADIUS, clean_weight=0.5, steps=2, start="random"), True),
        (freelb_training(image, cross_entropy, radius=RADIUS, step=0.1, steps=2, norm="l1"), True),
        (gradient_penalty_training(image, cross_entropy, weight=jnp.float32(0.3), how="finite_difference"), False),
        (gradient_penalty_training(image, cross_entropy, weight=0.3, how="forward_over_reverse", norm="l1"), False),
        (virtual_adversarial_training(image, cross_entropy, radius=jnp.float32(0.3), entropy_weight=0.2), True),
    ]
    for objective, drawn in objectives:
        for given in (n, half):

            def run(params, objective=objective, drawn=drawn, given=given):
                keys = {"key": key(KEY)} if drawn else {}
                return objective(params, given["x"], given["labels"], **keys)

            with strict[0], strict[1]:
                assert jax.eval_shape(jax.grad(lambda params, run=run: run(params).mean()), given["params"])
            wide = jnp.promote_types(given["x"].dtype, "float32")  # numbers of samples that are half precision
            assert jax.eval_shape(run, given["params"]).dtype == wide
        if drawn:
            with jax.debug_key_reuse(True), jax.debug_nans(True):
                assert jnp.isfinite(jax.jit(run)(half["params"]).astype(float)).all()


def test_passes_may_share_a_key_under_checks_of_their_reuse():
    n = numbers()
    f = lambda params, x, key: image(params, x * jax.random.bernoulli(key, 0.5, x.shape))  # noqa: E731
    objective = jax.jit(adversarial_training(f, cross_entropy, radius=RADIUS, steps=2))
    with jax.debug_key_reuse(True):
        key = jax.random.key(KEY)
        objective(n["params"], n["x"], n["labels"], key)
        with pytest.raises(jax.errors.KeyReuseError):
            jax.random.normal(key)


# What a step costs beside the one by hand.


def by_hand_fgm(params, x, labels):
    losses = lambda x: cross_entropy(image(params, x), labels)  # noqa: E731
    clean, pull = jax.vjp(losses, x)
    slope = jax.lax.stop_gradient(pull)(jnp.ones_like(clean))[0]
    return losses(x + RADIUS * slope / length(slope))


def by_hand_penalty(params, x, labels):
    clean, pull = jax.vjp(lambda x: cross_entropy(image(params, x), labels), x)
    return clean + 0.3 * jnp.square(pull(jnp.ones_like(clean))[0]).sum(1)


def by_hand_vat(params, x, labels):
    logits, key = image(params, x), jax.random.key(KEY)
    start = jax.random.normal(key, x.shape, x.dtype)
    clean, held = jax.lax.stop_gradient((logits, params))
    slope = jax.grad(lambda r: kl_divergence(clean, image(held, x + r)).sum())(0.1 * start / length(start))
    r = jax.lax.stop_gradient(RADIUS * slope / length(slope))
    return cross_entropy(logits, labels) + kl_divergence(clean, image(params, x + r))


COSTS = {
    "fgm": (adversarial_training(image, cross_entropy, radius=RADIUS), {}, by_hand_fgm),
    "penalty": (gradient_penalty_training(image, cross_entropy, weight=0.3), {}, by_hand_penalty),
    "vat": (virtual_adversarial_training(image, cross_entropy, radius=RADIUS, xi=0.1), {"key": KEY}, by_hand_vat),
}


@pytest.mark.parametrize(("objective", "keys", "by_hand"), COSTS.values(), ids=COSTS)
def test_a_compiled_step_computes_what_the_one_by_hand_does(objective, keys, by_hand):
    """Operations as XLA counts them, with layers so wide that vectors of samples do not matter."""
    given = [jnp.ones((512, 512)), jnp.ones((64, 512)), jnp.zeros(64, int)]

    def flops(objective, **keys):
        def slope(kernel, x, labels):
            drawn = {name: jax.random.key(seed) for name, seed in keys.items()}
            return jax.grad(lambda kernel: objective({"kernel": kernel}, x, labels, **drawn).mean())(kernel)

        return jax.jit(slope).lower(*given).compile().cost_analysis()["flops"]

    assert flops(objective, **keys) <= 1.01 * flops(by_hand)


# Refused in words.


def square_of_ones_own():
    @jax.custom_vjp
    def square(x):
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, slope: (2 * x * slope,))
    return lambda params, x: square(image(params, x))


def stopped(params, tokens):
    return text(params | {"table": jax.lax.stop_gradient(params["table"])}, tokens)


FGM = {"radius": RADIUS}
REFUSED = {  # method, f, target, options, name of the input, what the message must say
    "stop_gradient": (adversarial_training, stopped, "table", FGM, "tokens", "table.*does not depend.*stop_gradient"),
    "an unused table": (adversarial_training, image, "table", FGM, "x", "table.*not used"),
    "an unused input": (adversarial_training, lambda p, x: image(p, jnp.ones_like(x)), None, FGM, "x", "does not"),
    "a kernel": (adversarial_training, text, "kernel", FGM, "tokens", "'kernel'.*never looks up.*perturb_table"),
    "an output of a function": (adversarial_training, text, "h", FGM | {"where": "output"}, "tokens", "Split f in two"),
    "no such input": (adversarial_training, image, "y", FGM | {"where": "input"}, "x", "'y'.*not in x"),
    "a mask of a table": (adversarial_training, text, "table", FGM | {"mask": lambda x: x}, "tokens", "mask: got one"),
    "a mask too short": (adversarial_training, image, None, FGM | {"mask": lambda x: x[:, 1:]}, "x", "mask: got"),
    "bounds that x leaves": (adversarial_training, image, None, FGM | {"bounds": (0.0, 1.0)}, "x", "within the bounds"),
    "bounds of a table": (adversarial_training, text, "table", FGM | {"bounds": (0.0, 1.0)}, "tokens", "bounds: got"),
    "a start without a key": (adversarial_training, image, None, FGM | {"start": "random"}, "x", "key: got None"),
    "no forward mode": (
        gradient_penalty_training, square_of_ones_own(), None, {"weight": 1.0, "how": "forward_over_reverse"}, "x",
        "custom_vjp.*double_backward",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("method", "f", "target", "options", "x", "said"), REFUSED.values(), ids=REFUSED)
def test_refused_in_words(method, f, target, options, x, said):
    n = numbers()
    with pytest.raises((TypeError, ValueError), match=f"(?s){said}"):
        method(f, cross_entropy, target, **options)(n["params"], n[x], n["labels"])


def test_several_inputs_without_a_name_are_refused():
    n = numbers()
    with pytest.raises(ValueError, match=r"target: got None, which fits a, b in x"):
        adversarial_training(image, cross_entropy, radius=1.0)(n["params"], {"a": n["x"], "b": n["x"]}, n["labels"])


def test_a_tuple_without_logits_is_refused():
    n = numbers()
    with pytest.raises(TypeError, match=r"f: got a tuple.*logits=lambda"):
        virtual_adversarial_training(lambda *given: (image(*given), 1), radius=1.0)(
            n["params"], n["x"], key=jax.random.key(0)
        )


@pytest.mark.parametrize(("option", "said"), [("where", "'input', 'table', 'output'"), ("replicas", "'all', 'local'")])
def test_options_of_jax_alone_are_checked(option, said):
    with pytest.raises(ValueError, match=f"{option}: got 'else', expected one of {said}"):
        adversarial_training(image, cross_entropy, radius=1.0, **{option: "else"})


def test_labels_that_are_missing_are_named():
    n = numbers()
    with pytest.raises(TypeError, match=r"labels: got none.*loss=None"):
        virtual_adversarial_training(image, cross_entropy, radius=1.0)(n["params"], n["x"], key=jax.random.key(0))


def test_raw_takes_one_step_from_zero():
    with pytest.raises(ValueError, match="norm: got 'raw'"):
        adversarial_training(image, cross_entropy, radius=1.0, norm="raw", steps=2)


def test_a_one_hot_product_is_a_lookup():
    n = numbers()
    one_hot = lambda p, tokens: image(p, jnp.tanh(jax.nn.one_hot(tokens, VOCABULARY) @ p["table"]).mean(1))  # noqa: E731
    found, wanted = (
        adversarial_training(f, cross_entropy, "table", radius=RADIUS)(n["params"], n["tokens"], n["labels"])
        for f in (one_hot, text)
    )
    assert_close(found, wanted)


@pytest.mark.parametrize("target", [None, "rows"])
@pytest.mark.parametrize("held", ["float16", "float32"])
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
