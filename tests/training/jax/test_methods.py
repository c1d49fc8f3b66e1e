"""PGD, FreeLB, penalties in each way and virtual adversarial training are those of the contract."""

import jax
import jax.numpy as jnp
import pytest

from impls.jax.adversarial import freelb_loss, pgd
from impls.jax.losses import cross_entropy, entropy, kl_divergence
from impls.jax.penalty import input_gradient_penalty
from impls.jax.sampling import _ball
from impls.jax.training import (
    adversarial_training,
    freelb_training,
    gradient_penalty_training,
    virtual_adversarial_training,
)
from tests.quick import mostly_slow
from tests.training.jax.by_hand import KEY, RADIUS, assert_close, image, length, numbers, slopes, tagger, text


@pytest.mark.parametrize("start", ["zero", "random"])
@pytest.mark.parametrize(
    ("norm", "bounds"), mostly_slow([("l2", None), ("linf", (-2.5, 2.5)), ("l1", None)], [("linf", (-2.5, 2.5))])
)
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


@pytest.mark.parametrize("one", [slice(0, 1), 0], ids=["(B, 1)", "(B,)"])
def test_the_logit_of_a_sigmoid(one):
    """The pair [z, 0] has the sigmoid's probabilities."""
    n, key = numbers(), jax.random.key(KEY)
    single = virtual_adversarial_training(lambda *given: image(*given)[:, one], radius=RADIUS, outputs="sigmoid")
    two = virtual_adversarial_training(lambda *given: image(*given)[:, :1] * jnp.array([[1.0, 0.0]]), radius=RADIUS)
    assert_close(single(n["params"], n["x"], key=key), two(n["params"], n["x"], key=key))


def test_raw_takes_one_step_from_zero():
    with pytest.raises(ValueError, match="norm: got 'raw'"):
        adversarial_training(image, cross_entropy, radius=1.0, norm="raw", steps=2)
