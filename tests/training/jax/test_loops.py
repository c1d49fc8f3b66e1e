"""Schedules, accumulation, ensembles: objectives in the loops that people compile."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from impls.jax.losses import cross_entropy
from impls.jax.training import adversarial_training
from tests.training.jax.by_hand import RADIUS, WIDTH, assert_close, image, numbers


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
