"""Losses: one a token, with weights, the mean of a batch."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from impls.jax.losses import cross_entropy
from impls.jax.training import (
    adversarial_training,
    freelb_training,
    gradient_penalty_training,
    virtual_adversarial_training,
)
from tests.training.jax.by_hand import KEY, RADIUS, assert_close, image, numbers, slopes, tagger


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
