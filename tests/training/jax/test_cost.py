"""What a step costs: calls and derivatives of the model, and what XLA computes beside the step by hand."""

import jax
import jax.numpy as jnp
import pytest

from impls.jax.losses import cross_entropy, kl_divergence
from impls.jax.training import adversarial_training, gradient_penalty_training, virtual_adversarial_training
from tests.training.jax.by_hand import KEY, RADIUS, image, length
from tests.training.jax.stateful import METHODS, WIDTH, assert_close, every_method, made, problem


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
