"""One step of a one-liner is that of the contract's functions, with parameters closed over.

The dropout key is the same for both: passes that did not share their masks would be far off.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from impls.jax.adversarial import adversarial_loss, fgm
from impls.jax.embedding import perturb_table
from impls.jax.losses import cross_entropy, entropy, kl_divergence
from impls.jax.norms import l2_norm, unit
from impls.jax.penalty import input_gradient_penalty
from impls.jax.training import adversarial_training, gradient_penalty_training, virtual_adversarial_training
from impls.jax.virtual_adversarial import vat_loss
from tests.quick import mostly_slow
from tests.training.jax.stateful import (
    BATCH,
    VOCABULARY,
    WIDTH,
    assert_close,
    digest,
    every_target,
    perturbed,
    problem,
    put,
    slope_and_values,
)

ATTACKS = [
    ("l2", "sample", 0.0),
    ("l2", "tensor", 0.0),
    ("linf", "sample", 0.3),
    ("l1", "sample", 0.0),
    ("raw", "sample", 0.5),
]


@every_target
@pytest.mark.parametrize(("norm", "scope", "clean_weight"), mostly_slow(ATTACKS, ATTACKS[1:3]))
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
@pytest.mark.parametrize("norm", mostly_slow(["l2_squared", "l2", "l1"], ["l2"]))
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
@pytest.mark.parametrize(("steps", "entropy_weight"), mostly_slow([(1, 0.0), (2, 0.5)], [(2, 0.5)]))
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
