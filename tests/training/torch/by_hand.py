"""Small models without state, and steps on them as one writes them by hand in plain PyTorch."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from impls.torch.objectives import (
    adversarial_objective,
    freelb_objective,
    gradient_penalty_objective,
    virtual_adversarial_objective,
)

EACH = nn.CrossEntropyLoss(reduction="none")


MEAN = nn.CrossEntropyLoss()


BATCH, LENGTH, WIDTH, CLASSES, VOCABULARY, RATE, RADIUS = 6, 5, 4, 3, 11, 0.1, 0.5


class Image(nn.Module):
    """Inputs (B, 4) to logits (B, 3)."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(WIDTH, 6), nn.Linear(6, CLASSES)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


class Text(nn.Module):
    """Tokens (B, T) to logits (B, 3)."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.head = Image()

    def forward(self, tokens):
        return self.head(torch.tanh(self.embedding(tokens)).mean(1))


class Language(nn.Module):
    """Tokens (B, T) to logits (B, T, V), by a table that the output layer is tied to."""

    def __init__(self):
        super().__init__()
        self.embedding, self.hidden = nn.Embedding(VOCABULARY, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.output = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.output.weight = self.embedding.weight

    def forward(self, tokens):
        return self.output(torch.tanh(self.hidden(self.embedding(tokens))))


def made(kind, dtype=torch.float64):
    torch.manual_seed(0)
    return kind().to(dtype)


def batch(kind, number=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(number)
    if kind is Image:
        x = torch.randn(BATCH, WIDTH, generator=generator, dtype=dtype)
    else:
        x = torch.randint(VOCABULARY, (BATCH, LENGTH), generator=generator)
    if kind is Language:
        return x, x.roll(-1, 1)
    return x, torch.randint(CLASSES, (BATCH,), generator=generator)


def gradients(model, value):
    """Flat, of all parameters."""
    found = torch.autograd.grad(value, list(model.parameters()), retain_graph=True, allow_unused=True)
    filled = [torch.zeros_like(p) if g is None else g for p, g in zip(model.parameters(), found, strict=True)]
    return torch.cat([value.detach()[None], *(g.detach().flatten() for g in filled)])


def same(found, wanted, units=64):
    """Equal to rounding of the largest number."""
    unit = torch.finfo(wanted.dtype).eps / 2
    assert (found - wanted).abs().max() <= units * unit * max(1, wanted.abs().max())


def parameters(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


# The steps by hand.


def length_of(g):
    return g.flatten(1).norm(dim=1).reshape(-1, *[1] * (g.dim() - 1))


def fgm_by_hand(model, x, labels, radius=RADIUS, loss=MEAN):
    """The clean gradient of the input, one norm a sample, and the loss there."""
    leaf = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(loss(model(leaf), labels), leaf)
    return loss(model(x + radius * g / length_of(g)), labels)


def with_table(model, table, *inputs, name="embedding.weight"):
    return functional_call(model, {name: table}, inputs, tie_weights=True)


def fgm_on_table_by_hand(model, tokens, labels, radius=RADIUS, loss=MEAN, name="embedding.weight"):
    """The same on a table, which every use sees."""
    table = model.get_parameter(name)
    leaf = table.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(loss(with_table(model, leaf, tokens, name=name), labels), leaf)
    return loss(with_table(model, table + radius * g / g.norm(), tokens, name=name), labels)


def by_position(logits, labels):
    return F.cross_entropy(logits.transpose(1, 2), labels)


def tokens_loss(logits, labels):
    return F.cross_entropy(logits.transpose(1, 2).float(), labels, reduction="none").mean(1)


# The objective as a value.


METHODS = {
    "fgm": (adversarial_objective, {"radius": RADIUS}),
    "fgm, half clean": (adversarial_objective, {"radius": RADIUS, "clean_weight": 0.5}),
    "pgd": (adversarial_objective, {"radius": RADIUS, "steps": 2, "start": "random"}),
    "freelb": (freelb_objective, {"radius": RADIUS, "step": 0.3, "steps": 2}),
    "penalty": (gradient_penalty_objective, {"weight": 0.5}),
    "penalty, difference": (gradient_penalty_objective, {"weight": 0.5, "how": "finite_difference"}),
    "vat": (virtual_adversarial_objective, {"radius": RADIUS, "entropy_weight": 0.5}),
}


every_method = pytest.mark.parametrize(("method", "options"), METHODS.values(), ids=METHODS)


class ByPosition(nn.CrossEntropyLoss):
    """(B, T, V) and (B, T) to (B, T), or their mean."""

    def forward(self, logits, labels):
        return super().forward(logits.transpose(1, 2), labels)
