"""Attacks in JAX: a loop as people publish it, the whole of it in one jit."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from bench.peers import BOUNDS, Arm, Attack
from bench.peers.jax_network import arm, arrays, loss
from equivalence.cases import Case


def plain_loop(job: Attack, case: Case, device: str) -> Arm:
    gradient_of = jax.grad(lambda x, params, labels: loss(case)(params, x, labels).mean())

    def rows(x: Any) -> Any:
        return jnp.sqrt(jnp.square(x).sum((1, 2), keepdims=True))

    @jax.jit
    def attack(params: Any, x: Any, labels: Any) -> Any:
        adversarial = x
        for _ in range(job.steps):
            gradient = gradient_of(adversarial, params, labels)
            if job.norm == "linf":
                delta = jnp.clip(adversarial + job.step * jnp.sign(gradient) - x, -job.radius, job.radius)
            else:
                delta = adversarial + job.step * gradient / (rows(gradient) + 1e-10) - x
                delta = delta * jnp.minimum(1, job.radius / rows(delta))
            adversarial = jnp.clip(x + delta, *BOUNDS)
        return adversarial

    given = arrays(case, device)
    return arm(lambda: attack(*given))


BUILDERS: dict[str, Callable[[Attack, Case, str], Arm]] = {"plain loop": plain_loop}
