"""`check` on kinds of JAX models: what is computed in fewer digits is no fault, and is told."""

import pytest

from equivalence.own_models import load
from tests.own_models.looked import bad, looked, verdicts

pytestmark = pytest.mark.usefixtures("bridge", "precision")

START = """
import jax
import jax.numpy as jnp

keys = jax.random.split(jax.random.key(0), 3)
params = {"hidden": jax.random.normal(keys[0], (6, 8)) / 2, "output": jax.random.normal(keys[1], (8, 3)) / 2}
batch = jax.random.normal(keys[2], (5, 6)), jnp.arange(5) % 3

def loss(outputs, labels):
    return -jnp.take_along_axis(jax.nn.log_softmax(outputs), labels[:, None], 1)[:, 0]
"""


NARROW = """
def model(params, x):
    hidden = jnp.tanh(x.astype(jnp.{dtype}) @ params["hidden"].astype(jnp.{dtype}))
    return (hidden @ params["output"].astype(jnp.{dtype})).astype(x.dtype)
"""
DROPPED = """
def model(params, x):
    kept = jax.random.uniform(keys[2], (8,), jnp.float32) > 0.3
    return jnp.where(kept, jnp.tanh(x @ params["hidden"]), 0) @ params["output"]
"""
CARRIED = """
def model(params, x):
    start = jnp.zeros((len(x), 8), jnp.float32)
    step = lambda h, t: (jnp.tanh(x @ params["hidden"] + 0.5 * h), None)
    return jax.lax.scan(step, start, jnp.arange(3))[0] @ params["output"]
"""


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_computed_in_fewer_digits_inside_is_seen(dtype, write):
    assert load("jax", write(NARROW.format(dtype=dtype)), double=True).dtype == dtype


def test_numbers_that_are_only_compared_round_nothing(write):
    assert load("jax", write(DROPPED), double=True).dtype == "float64"


def test_a_program_of_one_precision_is_looked_at_in_it(write):
    own = load("jax", write(CARRIED), double=True)
    assert own.dtype == "float32" and "no float64 copy of it runs" in own.remarks[0]


@pytest.mark.slow
def test_float32_inside_is_judged_by_what_differences_see_of_it(write):
    section = looked("jax", write(NARROW.format(dtype="float32")), "derivatives", "radius")
    assert not bad(section["derivatives"]) and not bad(section["radius"])
    assert "right" in verdicts(section["derivatives"]).values()


@pytest.mark.slow
def test_bfloat16_inside_is_not_called_wrong(write):
    section = looked("jax", write(NARROW.format(dtype="bfloat16")), "derivatives", "radius", "curvature", "places")
    assert not any(map(bad, section.values()))


def test_probabilities_are_no_logits(write):
    code = 'def model(params, x):\n    return jax.nn.softmax(jnp.tanh(x @ params["hidden"]) @ params["output"])\n'
    code += "def loss(outputs, labels):\n    return -jnp.log(jnp.take_along_axis(outputs, labels[:, None], 1)[:, 0])\n"
    found = looked("jax", write(code), "curvature")["curvature"].numbers["λ1"]
    plain = 'def model(params, x):\n    return jnp.tanh(x @ params["hidden"]) @ params["output"]\n'
    assert found == pytest.approx(looked("jax", write(plain), "curvature")["curvature"].numbers["λ1"], rel=1e-9)
