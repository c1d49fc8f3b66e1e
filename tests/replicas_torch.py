"""One of two processes that train together, each with half a batch; what it ends with goes to a file.

    python -m tests.replicas_torch RANK FOLDER SCENARIO...
"""

import contextlib
import sys
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from impls.torch.objectives import (
    adversarial_objective,
    freelb_objective,
    gradient_penalty_objective,
    virtual_adversarial_objective,
)

BATCH, STEPS, RATE = 8, 3, 0.5
LOSS = nn.CrossEntropyLoss(reduction="none")


class Image(nn.Module):
    """Inputs (B, 5) to logits (B, 3)."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(5, 8), nn.Linear(8, 3)
        self.unused = nn.Linear(2, 2)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


class Text(nn.Module):
    """Tokens (B, T) to logits of the next, (B, T, V), by a table that is tied."""

    def __init__(self):
        super().__init__()
        self.embedding, self.hidden = nn.Embedding(11, 6), nn.Linear(6, 6)
        self.unused = nn.Linear(2, 2)

    def forward(self, tokens):
        return F.linear(torch.tanh(self.hidden(self.embedding(tokens))), self.embedding.weight)


def by_sample(outputs, labels):
    """(B, T, V) and (B, T) to (B,)."""
    return F.cross_entropy(outputs.transpose(1, 2), labels, reduction="none").mean(1)


def both(model, **options):
    """The sum of two objectives, of which one has no labels."""
    first = adversarial_objective(model, LOSS, radius=0.3)
    second = virtual_adversarial_objective(model, None, radius=0.5, weight=0.7, xi=0.1)
    return lambda x, labels: first(x, labels) + second(x)


OBJECTIVES = {
    "fgm": (Image, adversarial_objective, {"radius": 0.3}),
    "fgm, half clean": (Image, adversarial_objective, {"radius": 0.3, "clean_weight": 0.5}),
    "fgm, linf, mean loss": (Image, adversarial_objective, {"radius": 0.3, "norm": "linf", "loss": F.cross_entropy}),
    "fgm, one norm": (Image, adversarial_objective, {"radius": 0.9, "scope": "tensor"}),
    "fgm, l1, one norm": (Image, adversarial_objective, {"radius": 0.9, "norm": "l1", "scope": "tensor"}),
    "pgd, random start": (Image, adversarial_objective, {"radius": 0.3, "steps": 3, "start": "random"}),
    "pgd, one norm": (
        Image,
        adversarial_objective,
        {"radius": 0.9, "steps": 3, "start": "random", "scope": "tensor", "clean_weight": 0.3},
    ),
    "freelb": (Image, freelb_objective, {"radius": 0.3, "step": 0.2, "steps": 3}),
    "penalty": (Image, gradient_penalty_objective, {"weight": 0.5}),
    "penalty, l2, forward over reverse": (
        Image,
        gradient_penalty_objective,
        {"weight": 0.5, "norm": "l2", "how": "forward_over_reverse"},
    ),
    "penalty, finite difference": (Image, gradient_penalty_objective, {"weight": 0.5, "how": "finite_difference"}),
    "vat, entropy": (
        Image,
        virtual_adversarial_objective,
        {"radius": 0.5, "xi": 0.1, "entropy_weight": 0.5, "steps": 2},
    ),
    "fgm and vat": (Image, both, {}),
    "table, fgm": (Text, adversarial_objective, {"radius": 0.6, "target": "embedding"}),
    "table, half clean": (
        Text,
        adversarial_objective,
        {"radius": 0.6, "target": "embedding", "clean_weight": 0.5},
    ),
    "table, raw": (Text, adversarial_objective, {"radius": 0.1, "norm": "raw", "target": "embedding"}),
    "table, pgd": (
        Text,
        adversarial_objective,
        {"radius": 0.6, "target": "embedding", "steps": 3, "start": "random"},
    ),
    "table, freelb": (Text, freelb_objective, {"radius": 0.6, "step": 0.3, "steps": 3, "target": "embedding"}),
    "table, penalty": (Text, gradient_penalty_objective, {"weight": 0.5, "target": "embedding"}),
    "table, penalty, l2": (
        Text,
        gradient_penalty_objective,
        {"weight": 0.5, "norm": "l2", "target": "embedding", "how": "finite_difference"},
    ),
    "table, vat": (
        Text,
        virtual_adversarial_objective,
        {"radius": 0.5, "xi": 0.1, "target": "embedding", "where": "table", "entropy_weight": 0.5},
    ),
    "output, fgm": (Text, adversarial_objective, {"radius": 0.6, "target": "embedding", "where": "output"}),
    "output, freelb": (
        Text,
        freelb_objective,
        {"radius": 0.6, "step": 0.3, "steps": 2, "target": "embedding", "where": "output"},
    ),
}
LOCAL = ("fgm, one norm", "table, fgm", "table, half clean")  # those that differ with replicas="local"
WRAPS = ("ddp", "static", "unused", "accumulated", "fsdp")


def made(kind, *, unused):
    torch.manual_seed(0)
    model = kind()
    if not unused:
        del model.unused
    return model.double()


def data(kind, number):
    generator = torch.Generator().manual_seed(number)
    if kind is Image:
        x = torch.randn(BATCH, 5, generator=generator, dtype=torch.float64)
        return x, torch.randint(3, (BATCH,), generator=generator)
    tokens = torch.randint(11, (BATCH, 6), generator=generator)
    return tokens, tokens.roll(-1, 1)


def parts(kind, number, rank, wrap):
    """The batches of a step: one process has one, a replica half of it, in two micro-batches where it accumulates."""
    x, labels = data(kind, number)
    if rank is not None:
        x, labels = x.chunk(2)[rank], labels.chunk(2)[rank]
    count = 2 if wrap == "accumulated" and rank is not None else 1
    return list(zip(x.chunk(count), labels.chunk(count), strict=True))


def wrapped(model, wrap):
    if wrap == "fsdp":
        from torch.distributed.fsdp import fully_shard

        for layer in model.children():
            if isinstance(layer, nn.Linear):
                fully_shard(layer)
        return fully_shard(model)
    options = {"static": {"static_graph": True}, "unused": {"find_unused_parameters": True}}
    return DistributedDataParallel(model, **options.get(wrap, {}))


def train(name, wrap=None, *, rank=None, **more):
    """Parameters after a few steps, flat."""
    kind, method, options = OBJECTIVES[name]
    options = {"loss": LOSS if kind is Image else by_sample, **options, **more}
    model = module = made(kind, unused=wrap == "unused")
    if rank is not None and wrap is not None:
        model = wrapped(model, wrap)
    loss = options.pop("loss")
    objective = both(model) if method is both else method(model, loss, options.pop("target", None), **options)
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE)
    for number in range(STEPS):
        optimizer.zero_grad()
        batches = parts(kind, number, rank, wrap)
        for index, (x, labels) in enumerate(batches):
            quiet = model.no_sync() if index + 1 < len(batches) and wrap == "accumulated" else contextlib.nullcontext()
            with quiet:
                (objective(x, labels) / len(batches)).backward()
        optimizer.step()
    values = [parameter.full_tensor() if wrap == "fsdp" and rank is not None else parameter for parameter in module.parameters()]
    return torch.cat([value.detach().flatten() for value in values])


def attempt(scenario, rank):
    name, wrap, replicas = scenario.split(" | ")
    more = {} if OBJECTIVES[name][1] is both else {"replicas": replicas}
    try:
        return train(name, wrap, rank=rank, **more)
    except Exception as error:  # noqa: BLE001 - said to whoever asked
        return f"{type(error).__name__}: {error}"


def main(rank, folder, scenarios):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    where = Path(folder)
    distributed.init_process_group("gloo", init_method=f"file://{where / 'meeting'}", rank=rank, world_size=2)
    torch.save({scenario: attempt(scenario, rank) for scenario in scenarios}, where / f"{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
