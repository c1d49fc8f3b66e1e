"""Nothing else is touched: at strength 0 it is plain training bit for bit, statistics and keys are used once."""

from functools import cache

import jax
import jax.numpy as jnp
import optax
import pytest

from impls.jax.losses import cross_entropy
from impls.jax.training import virtual_adversarial_training
from tests.training.jax.stateful import CLASSES, WIDTH, digest, every_method, every_target, made, problem


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


@pytest.mark.slow
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
