"""Inputs, outputs and targets: what is perturbed, under which mask, and where logits are found."""

from collections import UserDict
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from torch.func import functional_call

from impls.torch.objectives import adversarial_objective, virtual_adversarial_objective
from tests.training.torch.by_hand import (
    BATCH,
    CLASSES,
    LENGTH,
    MEAN,
    RADIUS,
    VOCABULARY,
    WIDTH,
    ByPosition,
    Image,
    Language,
    Text,
    batch,
    by_position,
    fgm_by_hand,
    fgm_on_table_by_hand,
    gradients,
    length_of,
    made,
    same,
)


class Outputs(NamedTuple):
    loss: Any
    logits: Any


class Encoder(nn.Module):
    """Tokens, a mask and labels by name, to an object with .loss and .logits, as transformers has it."""

    def __init__(self):
        super().__init__()
        self.text = Text()

    def forward(self, tokens, mask, labels=None, scale=None):
        x = torch.tanh(self.text.embedding(tokens)) * mask[:, :, None]
        logits = self.text.head(x.sum(1) / mask.sum(1, keepdim=True)) * (1 if scale is None else scale)
        return Outputs(None if labels is None else MEAN(logits, labels), logits)


def encoded():
    tokens, labels = batch(Text)
    mask = torch.ones(BATCH, LENGTH, dtype=torch.float64)
    mask[:3, 2:] = 0
    return {"tokens": tokens, "mask": mask, "labels": labels}


@pytest.mark.parametrize("kind", [dict, UserDict], ids=["dict", "BatchEncoding"])
def test_a_batch_by_name_and_the_models_own_loss(kind):
    model, inputs = made(Encoder), encoded()
    objective = adversarial_objective(model, lambda outputs, _: outputs.loss, "embedding", radius=RADIUS)
    found = objective(kind(inputs))

    def loss(outputs, _):
        return outputs.loss

    table = model.text.embedding.weight
    leaf = table.detach().clone().requires_grad_()
    name = "text.embedding.weight"
    (g,) = torch.autograd.grad(functional_call(model, {name: leaf}, (), inputs).loss, leaf)
    wanted = functional_call(model, {name: table + RADIUS * g / g.norm()}, (), inputs).loss
    same(gradients(model, found), gradients(model, wanted))
    with pytest.raises(ValueError, match=r"expected one of .*mask"):
        adversarial_objective(model, loss, "nothing", where="input", radius=RADIUS)(inputs)


def test_logits_of_an_object_are_found_and_those_of_a_tuple_asked_for():
    model, inputs = made(Encoder), encoded()
    labels = inputs.pop("labels")
    found = virtual_adversarial_objective(model, MEAN, "embedding", radius=RADIUS)(inputs, labels)
    assert found.isfinite()
    pair = made(lambda: nn.LSTM(WIDTH, CLASSES, batch_first=True))
    x, labels = batch(Image)[0][:, None], batch(Image)[1]
    for method, loss in ((virtual_adversarial_objective, None), (adversarial_objective, MEAN)):
        with pytest.raises(TypeError, match=r"model: got outputs of type tuple.*logits=lambda outputs: outputs\[0\]"):
            method(pair, loss, radius=RADIUS)(x, labels)
    objective = adversarial_objective(pair, MEAN, radius=RADIUS, logits=lambda outputs: outputs[0][:, 0])
    same(objective(x, labels), fgm_by_hand(lambda x: pair(x)[0][:, 0], x, labels))
    assert virtual_adversarial_objective(pair, None, radius=1.0, logits=lambda o: o[0][:, 0])(x).isfinite()


def test_padding_is_left_alone():
    model, inputs = made(Encoder), encoded()
    mask, options = inputs["mask"], {"where": "output", "radius": RADIUS, "scope": "tensor"}

    def own(outputs, _):
        return outputs.loss

    def at(x):
        x = (torch.tanh(x) * mask[:, :, None]).sum(1) / mask.sum(1, True)
        return MEAN(model.text.head(x), inputs["labels"])

    embedded = model.text.embedding(inputs["tokens"])
    leaf = embedded.detach().requires_grad_()
    (g,) = torch.autograd.grad(at(leaf * 1), leaf)
    g = g * mask[:, :, None]
    for where in ("mask", lambda batch: batch["mask"]):
        found = adversarial_objective(model, own, "embedding", mask=where, **options)(inputs)
        same(gradients(model, found), gradients(model, at(embedded + RADIUS * g / g.norm())))
    with pytest.raises(ValueError, match=r"mask: got shape \(2, 2\), expected"):
        adversarial_objective(model, own, "embedding", mask=lambda _: torch.ones(2, 2), **options)(inputs)


class Two(nn.Module):
    """Two inputs, one of them nested."""

    def __init__(self):
        super().__init__()
        self.model = Image()

    def forward(self, left, more):
        return self.model(left + 2 * more["right"][0].square())


def test_several_inputs_are_one_vector():
    model, (left, labels), (right, _) = made(Two), batch(Image), batch(Image, 1)
    inputs = (left, {"right": [right]})
    objective = adversarial_objective(model, MEAN, [0, (1, "right", 0)], where="input", radius=RADIUS)
    leaves = [part.clone().requires_grad_() for part in (left, right)]
    g = torch.autograd.grad(MEAN(model(leaves[0], {"right": [leaves[1]]}), labels), leaves)
    length = length_of(torch.cat(g, 1))
    wanted = MEAN(model(left + RADIUS * g[0] / length, {"right": [right + RADIUS * g[1] / length]}), labels)
    same(gradients(model, objective(inputs, labels)), gradients(model, wanted))
    alone = adversarial_objective(model, MEAN, (1, "right", 0), where="input", radius=RADIUS)
    same(alone(inputs, labels), fgm_by_hand(lambda x: model(left, {"right": [x]}), right, labels))
    with pytest.raises(ValueError, match=r'several inputs fit, expected one of .* with where="input"'):
        adversarial_objective(model, MEAN, radius=RADIUS)({"left": left, "more": {"right": [right]}}, labels)


def test_several_tables_are_one_vector():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
            self.head = Image()

        def forward(self, tokens):
            return self.head(torch.tanh(self.words(tokens) * self.places.weight).mean(1))

    model, (tokens, labels) = made(Pair), batch(Text)
    objective = adversarial_objective(model, MEAN, ["words", "places"], radius=RADIUS)
    names = ["words.weight", "places.weight"]
    tables = [model.get_parameter(name) for name in names]
    leaves = [table.detach().clone().requires_grad_() for table in tables]
    g = torch.autograd.grad(MEAN(functional_call(model, dict(zip(names, leaves, strict=True)), tokens), labels), leaves)
    length = torch.cat([part.flatten() for part in g]).norm()
    moved = {name: table + RADIUS * part / length for name, table, part in zip(names, tables, g, strict=True)}
    wanted = MEAN(functional_call(model, moved, tokens), labels)
    same(gradients(model, objective(tokens, labels)), gradients(model, wanted))


def test_a_tied_head_sees_the_same_table():
    model, (tokens, labels) = made(Language), batch(Language)
    objective = adversarial_objective(model, ByPosition(), "embedding", radius=RADIUS)
    wanted = fgm_on_table_by_hand(model, tokens, labels, loss=by_position)
    same(gradients(model, objective(tokens, labels)), gradients(model, wanted))
    assert model.output.weight is model.embedding.weight and isinstance(model.output.weight, nn.Parameter)
