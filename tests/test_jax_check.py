"""`check` on JAX models: what is planted is found and named, in what right models are made of nothing is."""

import pytest

from bench.check.template import TEMPLATES
from equivalence.own_models import load
from equivalence.protocol import Complaint
from tests.own_models.looked import bad, looked, said, verdicts

pytestmark = pytest.mark.usefixtures("bridge", "precision")


@pytest.mark.slow
def test_a_wrong_double_backward_is_found_and_named():
    section = looked("jax", "jax_wrong_double_backward", "derivatives")["derivatives"]
    assert "a jax.custom_vjp of its own at jax_wrong_double_backward.py:27" in bad(section)
    assert verdicts(section)["penalty's gradient in the parameters", "finite difference"] == "right"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("jax_custom_jvp", "a jax.custom_jvp of its own"),
        ("jax_stopped_moments", "stop_gradient at jax_stopped_moments.py:13"),
    ],
)
def test_a_first_derivative_that_is_held_fixed_is_found_and_named(name, named):
    section = looked("jax", name, "derivatives")["derivatives"]
    assert named in bad(section)
    found = verdicts(section)
    assert found["gradient in what is perturbed", "backward"] == "right"
    assert found["penalty's gradient in the parameters", "double backward"] == "wrong"


@pytest.mark.slow
def test_the_template_is_right(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(TEMPLATES["jax"])
    section = looked("jax", str(path), "derivatives")["derivatives"]
    assert not bad(section) and set(verdicts(section).values()) == {"right"}


def test_a_function_without_parameters_says_so(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("import jax.numpy as jnp\nmodel = loss = lambda *a: a[0]\nbatch = jnp.ones((2, 3)), jnp.ones(2)\n")
    with pytest.raises(Complaint, match="defines no params"):
        load("jax", str(path), double=True)


def test_samples_are_seen_to_be_apart(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(TEMPLATES["jax"])
    assert "does not depend on the other samples" in said(looked("jax", str(path), "samples")["samples"])
    path.write_text(TEMPLATES["jax"].replace('@ params["output"]', '@ params["output"] + x.mean(0)[:3]'))
    found = looked("jax", str(path), "samples")["samples"]
    assert found.numbers["coupled"]


LOOKED_UP = """
import jax
import jax.numpy as jnp

def model(params, tokens):
    table = params["table"]
    x = {look}
    return (x + params["positions"]).mean(1) @ params["output"]

def loss(logits, labels):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1)[:, 0]

keys = jax.random.split(jax.random.key(0), 3)
shapes = {{"table": (9, 6), "positions": (5, 6), "output": (6, 3)}}
params = {{name: jax.random.normal(key, shape) for key, (name, shape) in zip(keys, shapes.items())}}
batch = jnp.arange(20).reshape(4, 5) % 9, jnp.array([0, 1, 2, 0])
"""


@pytest.mark.parametrize(
    "look", ["table[tokens]", "jnp.take(table, tokens, axis=0)", "jax.nn.one_hot(tokens, 9) @ table"]
)
def test_a_parameter_is_a_table_where_its_rows_are_looked_up(tmp_path, look):
    """Positions are only added, and the last weights only multiplied with: neither is perturbed as a table."""
    path = tmp_path / "own.py"
    path.write_text(LOOKED_UP.format(look=look))
    places = load("jax", str(path), double=True).places()
    assert [(place.name, place.kind) for place in places] == [("table", "table")]
