"""The network as PyTorch has it: an nn.Module in training mode, one part of which is frozen."""

from functools import partial

import torch
from torch import nn

from equivalence import trainees
from equivalence.trainees import DROPPED, HIDDEN, MOMENTUM, RATE, STATISTICS_RATE, Slot

GENERATORS = {
    "random/torch": Slot(lambda: torch.get_rng_state().numpy(), lambda v: torch.set_rng_state(torch.from_numpy(v)))
}
CLASSES = 2


class Network(nn.Module):
    def __init__(self, vocabulary, width, length, reached):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.norm = nn.BatchNorm1d(width, momentum=STATISTICS_RATE)
        self.hidden = nn.Linear(width, HIDDEN)
        self.frozen = nn.BatchNorm1d(HIDDEN).eval().requires_grad_(False)
        self.drop = nn.Dropout(DROPPED)
        self.output = nn.Linear(HIDDEN, CLASSES)
        self.reached = reached

    def forward(self, tokens):  # (B, T) -> (B, C)
        x = torch.tanh(self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1])))
        x = self.norm(x.mean(1))
        x = self.drop(self.frozen(torch.tanh(self.hidden(x))))
        self.reached()
        return self.output(x)


def called(function, *arrays):
    """Call a function of arrays."""
    return function(*arrays)


class Trainee(trainees.Trainee):
    framework = "torch"

    def build(self, vocabulary, width):
        torch.manual_seed(0)
        self.batch = torch.from_numpy(self.tokens), torch.from_numpy(self.labels).long()
        self.model = Network(vocabulary, width, self.tokens.shape[1], self.reached).float()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=RATE, momentum=MOMENTUM)
        self.loss = nn.CrossEntropyLoss(reduction="none")
        self.named = {name.removesuffix(".weight"): tensor for name, tensor in self.model.named_parameters()}

    def slots(self):
        found = dict(GENERATORS)
        for name, parameter in self.named.items():
            kept = self.optimizer.state[parameter]
            found[f"parameters/{name}"] = tensor(parameter.data)
            found[f"gradients/{name}"] = optional(
                partial(getattr, parameter, "grad"), partial(setattr, parameter, "grad")
            )
            found[f"flags/{name}.requires_grad"] = attribute(parameter, "requires_grad")
            found[f"optimiser/{name}"] = optional(
                partial(kept.get, "momentum_buffer"), partial(kept.__setitem__, "momentum_buffer")
            )
        for name, buffer in self.model.named_buffers():
            found[f"statistics/{name}"] = tensor(buffer)
        for name, module in self.model.named_modules():
            found[f"flags/{name}.training"] = attribute(module, "training")
            found[f"hooks/{name}"] = Slot(lambda module=module: [len(kept) for kept in hooks(module)])
        group = self.optimizer.param_groups[0]
        found["optimiser/learning rate"] = Slot(lambda: group["lr"], lambda value: group.update(lr=float(value)))
        return found

    def backward(self, training=True):
        modes = {module: module.training for module in self.model.modules()}
        if not training:
            self.model.eval()
        tokens, labels = self.batch
        trained = {name: parameter for name, parameter in self.named.items() if parameter.requires_grad}
        value = self.loss(self.model(tokens), labels).mean()
        gradients = torch.autograd.grad(value, list(trained.values()))
        for module, mode in modes.items():
            module.training = mode
        found = zip(trained, gradients, strict=True)
        return value.item(), {f"parameters/{name}": gradient.numpy() for name, gradient in found}

    def apply(self, gradients):
        for name, gradient in gradients.items():
            self.named[name.partition("/")[2]].grad = torch.from_numpy(gradient)
        self.optimizer.step()

    def plain(self):
        tokens, labels = self.batch
        self.optimizer.zero_grad()
        value = self.loss(self.model(tokens), labels).mean()
        value.backward()
        self.optimizer.step()
        return value.item()

    def take(self, method, options):
        step = method(self.model, self.optimizer, self.loss, "tokens", where="table", **options)
        return step(*self.batch).item()

    def array(self, value):
        return torch.tensor(value, dtype=torch.float32)


def tensor(there):
    return Slot(lambda: there.numpy(), lambda value: there.copy_(torch.from_numpy(value)))


def optional(get, put):
    """A tensor or None, which reads as an empty array."""

    def read():
        return [] if (there := get()) is None else there.numpy()

    return Slot(read, lambda value: put(torch.from_numpy(value.copy()) if value.size else None))


def hooks(module):
    return [kept for name, kept in sorted(vars(module).items()) if name.endswith("hooks")]


def attribute(owner, name):
    return Slot(lambda: getattr(owner, name), lambda value: setattr(owner, name, bool(value)))
