"""Targets are named as the model names its modules, and a name may be shortened while it is one module's."""

import pytest

from impls.torch.training import adversarial_training, perturbed
from tests.training.torch.stateful import LOSS, Pair, Text, batch, digest, made, sgd


@pytest.mark.parametrize(
    ("name", "moved"),
    [
        ("question.embedding", "question.embedding.weight"),
        ("shared", "answer.embedding.weight"),
        ("answer.embedding", "answer.embedding.weight"),
        ("words", "table.words.weight"),
    ],
)
def test_name_may_be_shortened(name, moved):
    model = made(Pair)
    tokens, labels = batch(Pair)
    before = {name: digest(parameter) for name, parameter in model.named_parameters()}
    with perturbed(model, lambda: LOSS(model(tokens), labels), name, radius=1.0):
        model(tokens)
        now = {name: digest(parameter) for name, parameter in model.named_parameters()}
    assert [name for name in before if now[name] != before[name]] == [moved]


def test_whole_name_goes_before_a_shortened_one():
    model = made(Text)
    model.inner = made(Text)
    assert adversarial_training(model, sgd(model), LOSS, "embedding", radius=1.0)
