"""`check` on models of other packages, random weights: they are right, and what is known of them is said.

The packages are installed where tox runs `ecosystem-jax`; elsewhere these tests are skipped.
"""

import importlib.util

import pytest

from tests.own_models.looked import bad, looked, said, verdicts

pytestmark = pytest.mark.usefixtures("bridge")


def needs(package):
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"{package} is not installed")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("jax_flax_transformer", marks=needs("flax")),
        pytest.param("jax_nnx_cnn", marks=needs("flax")),
        pytest.param("jax_equinox_mlp", marks=needs("equinox")),
    ],
)
def test_models_that_it_was_not_written_for_are_right(name):
    section = looked("jax", name, "derivatives")["derivatives"]
    assert not bad(section)
    assert verdicts(section)["penalty's gradient in the parameters", "double backward"] == "right"


@pytest.mark.slow
@needs("flax")
def test_batch_statistics_of_nnx_are_seen():
    found = looked("jax", "jax_nnx_cnn", "samples")["samples"]
    assert found.numbers["coupled"] and "normalization.py" in said(found)
    assert any("norm" in name for name in found.numbers["moved"])
