"""`check` on models of other packages, random weights: they are right, and what is known of them is said.

The packages are installed where tox runs `ecosystem-torch`; elsewhere these tests are skipped.
"""

import importlib.util

import pytest

from tests.own_models.looked import bad, looked, said, verdicts

pytestmark = pytest.mark.usefixtures("bridge")


def needs(package):
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"{package} is not installed")


@pytest.mark.slow
@needs("transformers")
def test_a_bert_is_right_and_its_layer_norm_is_named():
    section = looked("torch", "torch_bert", "derivatives")["derivatives"]
    assert not bad(section) and "LayerNorm" in said(section)
    assert verdicts(section)["penalty's gradient in the parameters", "double backward"] == "right"
    found = looked("torch", "torch_bert", "samples")["samples"]
    assert found.numbers["one number"] and not found.numbers["coupled"]


@pytest.mark.slow
@needs("transformers")
def test_a_resnet_is_not_silently_wrong_and_its_batch_norms_are_named():
    assert not bad(looked("torch", "torch_resnet", "derivatives")["derivatives"])
    found = looked("torch", "torch_resnet", "samples")["samples"]
    assert found.numbers["coupled"] and "resnet.embedder.embedder.normalization (BatchNorm2d)" in said(found)


@pytest.mark.slow
@needs("transformers")
def test_a_folder_is_looked_at_without_a_file(tmp_path):
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    assert not bad(looked("torch", str(tmp_path), "derivatives")["derivatives"])
