"""JAX: the tanh network as a function, optax.sgd, the whole step in one jit."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bench.costs.loops import RADIUS, TINY, WEIGHT, Loop
from equivalence.cases import Case
from impls.jax.models import mlp
from impls.jax.training import adversarial_training, gradient_penalty_training

loss = optax.softmax_cross_entropy_with_integer_labels
optimizer = optax.inject_hyperparams(optax.sgd)(learning_rate=1.0)


def build(case: Case, mode: str, name: str, device: str) -> Loop:
    place = jax.devices(device)[0]
    params = jax.device_put({key: np.float32(value) for key, value in case.params.items()}, place)
    x, labels = jax.device_put((np.float32(case.x), np.array(case.labels)), place)
    held = {"params": params, "state": optimizer.init(params)}
    update = STEPS[name]()

    def step() -> Any:
        objective, held["params"], held["state"] = update(held["params"], held["state"], x, labels)
        return objective, held["params"]

    def rate(value: float) -> None:
        held["state"].hyperparams["learning_rate"] = jnp.asarray(value, jnp.float32)

    return Loop(step, lambda: {key: np.array(value) for key, value in held["params"].items()}, rate)


def updating(objective: Callable[..., Any]) -> Callable[..., Any]:
    """The step of a per-sample objective."""

    @jax.jit
    def update(params: Any, state: Any, x: Any, labels: Any) -> Any:
        value, gradient = jax.value_and_grad(lambda params: objective(params, x, labels).mean())(params)
        updates, state = optimizer.update(gradient, state, params)
        return value, optax.apply_updates(params, updates), state

    return update


def snippet() -> Callable[..., Any]:
    """The usual snippet: the attack takes the gradients of everything, in a function compiled by itself."""
    attack = jax.jit(jax.grad(lambda params, x, labels: loss(mlp(params, x), labels).mean(), argnums=(0, 1)))
    train = updating(lambda params, x, labels: loss(mlp(params, x), labels))

    def update(params: Any, state: Any, x: Any, labels: Any) -> Any:
        _, gradient = attack(params, x, labels)
        return train(params, state, x + RADIUS * gradient / jnp.linalg.norm(gradient), labels)

    return update


def adversarial(params: Any, x: Any, labels: Any) -> Any:
    """What `adversarial_training` does, by hand."""
    gradient = jax.grad(lambda x: loss(mlp(jax.lax.stop_gradient(params), x), labels).sum())(x)
    norms = jnp.linalg.norm(gradient.reshape(len(x), -1), axis=1).clip(TINY)
    r = RADIUS * gradient / norms.reshape(-1, *[1] * (x.ndim - 1))
    return loss(mlp(params, x + jax.lax.stop_gradient(r)), labels)


def penalty(params: Any, x: Any, labels: Any) -> Any:
    """What `gradient_penalty_training` does, by hand."""

    def total(x: Any) -> Any:
        losses = loss(mlp(params, x), labels)
        return losses.sum(), losses

    gradient, losses = jax.grad(total, has_aux=True)(x)
    return losses + WEIGHT * jnp.square(gradient).reshape(len(x), -1).sum(1)


STEPS: dict[str, Any] = {
    "plain": lambda: updating(lambda params, x, labels: loss(mlp(params, x), labels)),
    "adversarial_training": lambda: updating(adversarial_training(mlp, loss, radius=RADIUS)),
    "adversarial by hand": lambda: updating(adversarial),
    "adversarial snippet": snippet,
    "gradient_penalty_training": lambda: updating(gradient_penalty_training(mlp, loss, weight=WEIGHT)),
    "gradient penalty by hand": lambda: updating(penalty),
}
