"""The objective as a value: with traced numbers, differentiated, under each setting of JAX."""

import jax
import jax.numpy as jnp
import pytest

from impls.jax.losses import cross_entropy
from impls.jax.training import (
    adversarial_training,
    freelb_training,
    gradient_penalty_training,
    virtual_adversarial_training,
)
from tests.training.jax.by_hand import KEY, RADIUS, assert_close, image, numbers


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
