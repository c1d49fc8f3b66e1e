"""What is perturbed: a leaf of any pytree, several of them as one vector, under a mask."""

import jax
import jax.numpy as jnp
import pytest

from impls.jax.losses import cross_entropy
from impls.jax.training import adversarial_training
from tests.training.jax.by_hand import RADIUS, VOCABULARY, assert_close, image, length, numbers, slopes, tagger, text


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


def test_a_one_hot_product_is_a_lookup():
    n = numbers()
    one_hot = lambda p, tokens: image(p, jnp.tanh(jax.nn.one_hot(tokens, VOCABULARY) @ p["table"]).mean(1))  # noqa: E731
    found, wanted = (
        adversarial_training(f, cross_entropy, "table", radius=RADIUS)(n["params"], n["tokens"], n["labels"])
        for f in (one_hot, text)
    )
    assert_close(found, wanted)
