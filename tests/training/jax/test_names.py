"""A table is named by its path in parameters of any structure, and no other is perturbed."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest

from impls.jax.training import adversarial_training
from tests.training.jax.stateful import BATCH, VOCABULARY, WIDTH, digest


class Encoder(NamedTuple):
    embedding: jax.Array


@pytest.mark.parametrize(
    ("target", "params"),
    [
        ("embedding.weight", lambda table, other: {"embedding.weight": table, "output.weight": other}),
        ("embedding", lambda table, other: {"params": {"encoder": {"embedding": table}, "output": {"kernel": other}}}),
        ("encoder/embedding", lambda table, other: {"params": {"encoder": {"embedding": table}}, "embedding": other}),
        ("embedding", lambda table, other: {"params": {"encoder": {"embedding": other}}, "embedding": table}),
        ("embedding", lambda table, other: {"my_embedding": other, "embedding": {"embedding": table}, "none": None}),
        ("text/~/embed/w", lambda table, other: {"text/~/embed": {"w": table}, "image/~/embed": {"w": other}}),
        ("encoder/embedding", lambda table, other: [Encoder(other), {"encoder": Encoder(table)}]),
        ("1/embedding", lambda table, other: (Encoder(other), Encoder(table))),
    ],
)
def test_the_named_table_and_no_other_is_perturbed(target, params):
    """A name ends the path, in whole parts; one that is the path comes first."""
    seen = []

    def f(params, tokens):
        seen.append(params)
        return sum(leaf[tokens[:, 0]] for leaf in jax.tree.leaves(params))

    table, other = jnp.ones((VOCABULARY, WIDTH)), jnp.zeros((VOCABULARY, WIDTH))
    objective = adversarial_training(f, lambda outputs, labels: outputs.sum(1), target, radius=1.0, norm="raw")
    objective(params(table, other), jnp.zeros((BATCH, 1), int), None)
    wanted = params(table.at[0].add(BATCH), other)
    assert jax.tree.structure(seen[-1]) == jax.tree.structure(wanted)
    assert digest(seen[-1]) == digest(wanted)
