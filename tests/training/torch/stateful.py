"""Small models with all that keeps state or draws, their steps, and hashes of everything that a step may touch."""

import hashlib
import itertools

import pytest
import torch
from torch import nn
from torch.func import grad

from impls.torch.training import adversarial_training, gradient_penalty_training, virtual_adversarial_training

BATCH, WIDTH, CLASSES, VOCABULARY, RATE = 5, 4, 3, 7, 0.1


LOSS = nn.CrossEntropyLoss(reduction="none")


class Text(nn.Module):
    """Tokens (B, T) to logits (B, C), with all that keeps state or draws; `tied` reads the table a second time."""

    def __init__(self, *, sparse=False, plain=False, tied=False):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH, sparse=sparse)
        self.hidden = nn.Linear(WIDTH, WIDTH)
        self.normalize = nn.Identity() if plain else nn.BatchNorm1d(WIDTH)
        self.drop = nn.Identity() if plain else nn.Dropout(0.4)
        self.output = nn.Linear(WIDTH, CLASSES)
        self.tied = tied

    def forward(self, tokens):
        x = torch.tanh(self.embedding(tokens).mean(1))
        x = self.drop(torch.tanh(self.normalize(self.hidden(x))))
        if self.tied:
            x = x + torch.tanh(x @ self.embedding.weight.T) @ self.embedding.weight
        return self.output(x)


class Image(nn.Module):
    """Inputs (B, 4) to logits (B, C)."""

    def __init__(self, *, plain=False):
        super().__init__()
        self.first = nn.Linear(WIDTH, 6)
        self.normalize = nn.Identity() if plain else nn.BatchNorm1d(6)
        self.drop = nn.Identity() if plain else nn.Dropout(0.4)
        self.output = nn.Linear(6, CLASSES)

    def forward(self, x):
        return self.output(self.drop(torch.tanh(self.normalize(self.first(x)))))


def batch(kind, number=0):
    """Labels (B,), and inputs (B, 4) or tokens (B, T) some of which repeat."""
    generator = torch.Generator().manual_seed(number)
    labels = torch.randint(CLASSES, (BATCH,), generator=generator)
    if kind is Image:
        return torch.randn(BATCH, WIDTH, generator=generator, dtype=torch.float64), labels
    tokens = torch.randint(VOCABULARY, (BATCH, 6), generator=generator)
    tokens[0] = 2  # a sample that is one token, over and over
    return tokens, labels


def made(kind, **options):
    torch.manual_seed(1)
    return kind(**options).double()


def sgd(model, **options):
    return torch.optim.SGD(model.parameters(), lr=RATE, **options)


def plain_training(model, optimizer, loss):
    """The usual step."""

    def closure(inputs, labels):
        optimizer.zero_grad()
        objective = loss(model(inputs), labels).mean()
        objective.backward()
        return objective

    return lambda inputs, labels: optimizer.step(lambda: closure(inputs, labels)).detach()


# (kind of model, target, where): the three kinds of site.
INPUT, OUTPUT, TABLE = (Image, None, "table"), (Text, "embedding", "output"), (Text, "embedding", "table")


SITES = {"input": INPUT, "output": OUTPUT, "table": TABLE}


every_site = pytest.mark.parametrize("site", SITES.values(), ids=SITES)


METHODS = {  # with the option that switches it off
    "adversarial": (adversarial_training, {"radius": 0.7}, {"radius": 0.0}),
    "half clean": (adversarial_training, {"radius": 0.7, "clean_weight": 0.3}, {"radius": 0.0, "clean_weight": 0.3}),
    "penalty": (gradient_penalty_training, {"weight": 0.7}, {"weight": 0.0}),
    "virtual": (virtual_adversarial_training, {"radius": 0.7}, {"radius": 0.0}),
    "virtual without weight": (virtual_adversarial_training, {"radius": 0.7}, {"radius": 0.7, "weight": 0.0}),
}


every_method = pytest.mark.parametrize(("method", "on", "off"), METHODS.values(), ids=METHODS)


def begun(method, options, site, *, model=None, optimizer=None, loss=LOSS):
    """A model of the site's kind and its training step."""
    kind, target, where = site
    model = made(kind) if model is None else model
    optimizer = sgd(model) if optimizer is None else optimizer
    return model, method(model, optimizer, loss, target, where=where, **options)


def state(model, *optimizers, gradients=True):
    """Hashes of all that a step may touch, by name."""
    parts = {f"random state {device}": draws for device, draws in [("cpu", torch.get_rng_state())]}
    for name, tensor in itertools.chain(model.named_parameters(), model.named_buffers()):
        parts[name] = tensor
        if gradients and tensor.grad is not None:
            parts[f"{name}.grad"] = tensor.grad.to_dense()
    for optimizer in optimizers:
        for parameter, kept in optimizer.state.items():
            parts |= {f"{len(parts)} {tuple(parameter.shape)} {key}": value for key, value in kept.items()}
    found = {name: digest(part) for name, part in parts.items()}
    found["flags"] = [parameter.requires_grad for parameter in model.parameters()]
    found["modules"] = [
        (module.training, *(len(value) for name, value in sorted(vars(module).items()) if name.endswith("hooks")))
        for module in model.modules()
    ]
    return found


def digest(value):
    value = value.detach().contiguous().numpy().tobytes() if isinstance(value, torch.Tensor) else repr(value).encode()
    return hashlib.sha256(value).hexdigest()


def close(found, wanted, units=64):
    """Equal to a few rounding units of the largest entry."""
    scale = max(tensor.abs().max() for tensor in wanted.values())
    for name in wanted:
        assert (found[name] - wanted[name]).abs().max() <= units * 2**-53 * max(scale, 1), name


# The perturbation is the contract's: one step, from the contract's functions with parameters as a dict.


def parameters(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def descended(model, objective):
    """Parameters after one step on the mean of objective(params) -> (B,), computed apart."""
    before = parameters(model)
    slopes = grad(lambda params: objective(params).mean())(before)
    return {name: before[name] - RATE * slopes[name] for name in before}


def after_step(method, options, site, *, model, loss=LOSS, **rest):
    model, step = begun(method, options, site, model=model, loss=loss, **rest)
    objective = step(*batch(site[0]))
    assert not objective.requires_grad
    return parameters(model), objective


both_ways = pytest.mark.parametrize("how", ["fisher", "finite_difference"])


# Nothing else is touched.


def plain_run(site, optimizer, *, steps=3, wrap=lambda model: model):
    model = made(site[0])
    optimizer = optimizer(model)
    step = plain_training(wrap(model), optimizer, LOSS)
    return run(model, optimizer, step, site, steps)


def run(model, optimizer, step, site, steps=3):
    torch.manual_seed(5)
    objectives = [digest(step(*batch(site[0], number))) for number in range(steps)]
    return {**state(model, optimizer), "objectives": objectives}


# Compiled models.


def compiled(model):
    return torch.compile(model, backend="aot_eager")


# Names.


class Pair(nn.Module):
    """Two embeddings, one of which has two names; tokens (B, T) to logits (B, C)."""

    def __init__(self):
        super().__init__()
        self.question = nn.ModuleDict({"embedding": nn.Embedding(VOCABULARY, CLASSES)})
        self.answer = nn.ModuleDict({"embedding": nn.Embedding(VOCABULARY, CLASSES)})
        self.shared = self.answer["embedding"]
        self.table = nn.ModuleDict({"words": nn.Embedding(VOCABULARY, CLASSES), "unused": nn.Embedding(2, 2)})
        self.twice = nn.Identity()
        self.pair = nn.LSTM(CLASSES, CLASSES, batch_first=True)

    def forward(self, tokens):
        x = self.question["embedding"](tokens).mean(1) + self.shared(tokens).mean(1)
        x = self.twice(self.twice(x)) + self.table["words"](tokens).mean(1)
        return x + self.pair(x[:, None])[0][:, 0]
