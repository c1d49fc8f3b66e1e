"""`check` on models of other packages, random weights: they are right, and what is known of them is said.

The packages are installed where tox runs `ecosystem-tensorflow`; elsewhere these tests are skipped.
"""

import importlib.util

import pytest

from tests.own_models.looked import bad, looked, said, verdicts

pytestmark = pytest.mark.usefixtures("bridge", "precision")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("keras_hub") is None, reason="keras_hub is not installed")
def test_a_classifier_of_kerashub_is_right():
    section = looked("tensorflow", "tensorflow_kerashub", "derivatives")["derivatives"]
    assert not bad(section) and "LayerNormalization" in said(section)
    assert verdicts(section)["penalty's gradient in the parameters", "double backward"] == "right"
