"""`check` on models of other packages, random weights: they are right, and what is known of them is said.

The packages are installed where tox runs `ecosystem-jax`; elsewhere these tests are skipped.
"""

import importlib.util

import pytest

from equivalence.own_models import load
from tests.own_models.looked import HERE, bad, looked, said, verdicts

pytestmark = pytest.mark.usefixtures("bridge", "precision")


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


@needs("flax")
def test_an_embedding_is_known_by_its_class_whatever_its_name():
    """In Linen a user's name takes the place of the class's; parameters that are added are no tables."""
    path = str(HERE / "jax_flax_transformer.py")
    first, *_ = load("jax", path, double=True).places()
    assert (first.name, first.kind, first.note) == ("tokens", "output", "Embed, 10 × 16")
