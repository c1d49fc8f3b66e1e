"""One of two processes that train together, each with half a batch; what it ends with goes to a file.

python -m tests.training.torch.replicas RANK FOLDER SCENARIO...
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

BATCH, STEPS, RATE = 8, 2, 0.5
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
ONE_VECTOR = ("fgm, one norm", "fgm, l1, one norm", "table, fgm", "table, half clean", "table, raw", "table, penalty")
REFUSED = (  # a sharded model's parameters are gone once a gradient is taken
    "penalty | fsdp | all",
    "penalty, l2, forward over reverse | fsdp | all",
    "table, penalty | fsdp | all",
)
SOME = ("fgm, half clean", "freelb", "penalty", "vat, entropy", "fgm and vat", "table, half clean", "output, fgm")
SCENARIOS = [f"{name} | {wrap} | all" for wrap in ("ddp", "fsdp") for name in OBJECTIVES]
SCENARIOS += [f"{name} | {wrap} | all" for wrap in ("static", "unused", "accumulated", "inside") for name in SOME]
SCENARIOS += [f"{name} | fsdp, kept whole | all" for name in SOME if name != "penalty"]
SCENARIOS += [f"{name} | ddp | local" for name in ONE_VECTOR]


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


def shares(kind, number, wrap):
    """What each replica has of a step's batch: one part, or two micro-batches where it accumulates."""
    count = 2 if wrap == "accumulated" else 1
    halves = zip(*(half.chunk(2) for half in data(kind, number)), strict=True)
    return [list(zip(x.chunk(count), labels.chunk(count), strict=True)) for x, labels in halves]


def whole(parts):
    """The micro-batches that one process has for those of two replicas."""
    return [tuple(map(torch.cat, zip(*both, strict=True))) for both in zip(*parts, strict=True)]


def wrapped(model, wrap):
    if wrap.startswith("fsdp"):
        from torch.distributed.fsdp import fully_shard

        if wrap == "fsdp, kept whole":
            return fully_shard(model, reshard_after_forward=False)
        for layer in model.children():
            if isinstance(layer, nn.Linear):
                fully_shard(layer)
        return fully_shard(model)
    options = {"static": {"static_graph": True}, "unused": {"find_unused_parameters": True}}
    return DistributedDataParallel(model, **options.get(wrap, {}))


class Inside(nn.Module):
    """As in Lightning: the objective is of the module itself, and what is wrapped calls it."""

    def __init__(self, module, objective):
        super().__init__()
        self.module, self.objective = module, objective

    def forward(self, x, labels):
        return self.objective(x, labels)


def begun(name, model, **more):
    """The objective of a name."""
    kind, method, options = OBJECTIVES[name]
    if method is both:
        return both(model)
    options = {"loss": LOSS if kind is Image else by_sample, **options, **more}
    return method(model, options.pop("loss"), options.pop("target", None), **options)


def train(name, wrap=None, *, rank=None, **more):
    """Parameters after a few steps, flat: of one process that has all samples, or of a replica that has its share."""
    kind = OBJECTIVES[name][0]
    model = module = made(kind, unused=wrap == "unused")
    if rank is not None and wrap != "inside":
        model = wrapped(model, wrap)
    objective = begun(name, model, **more)
    if rank is not None and wrap == "inside":
        objective = DistributedDataParallel(Inside(module, objective))
    optimizer = torch.optim.SGD(module.parameters(), lr=RATE)
    for number in range(STEPS):
        optimizer.zero_grad()
        parts = shares(kind, number, wrap)
        batches = whole(parts) if rank is None else parts[rank]
        for index, (x, labels) in enumerate(batches):
            more_to_come = rank is not None and wrap == "accumulated" and index + 1 < len(batches)
            with model.no_sync() if more_to_come else contextlib.nullcontext():
                (objective(x, labels) / len(batches)).backward()
        optimizer.step()
    return flat(module)


def train_apart(name):
    """One process that does what two replicas do of which each goes by its own: it has the mean of their gradients."""
    model = made(OBJECTIVES[name][0], unused=False)
    objectives = [begun(name, model) for _ in range(2)]
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    for number in range(STEPS):
        optimizer.zero_grad()
        for objective, [(x, labels)] in zip(objectives, shares(OBJECTIVES[name][0], number, None), strict=True):
            (objective(x, labels) / 2).backward()
        optimizer.step()
    return flat(model)


class Normalised(Image):
    """With statistics, which DistributedDataParallel broadcasts from the first replica before a forward pass."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(5)

    def forward(self, x):
        return super().forward(self.norm(x))


def statistics(rank, method, options):
    """What is left in the buffers, after two steps with an objective and after two plain ones."""

    def plain(model):
        return lambda x, labels: LOSS(model(x), labels).mean()

    found = []
    for begin in (lambda model: method(model, LOSS, **options), plain):
        model = DistributedDataParallel(made(Normalised, unused=False))
        objective = begin(model)
        for number in range(STEPS):
            [(x, labels)] = shares(Image, number, None)[rank]
            objective(x, labels).backward()
        found.append(torch.cat([buffer.double().flatten() for buffer in model.buffers()]))
    return found


def flat(model):
    values = [value.full_tensor() if hasattr(value, "full_tensor") else value for value in model.parameters()]
    return torch.cat([value.detach().flatten() for value in values])


STATISTICS = {
    "statistics of fgm": (adversarial_objective, {"radius": 0.3}),
    "statistics of pgd": (adversarial_objective, {"radius": 0.3, "steps": 2, "start": "random", "clean_weight": 0.5}),
    "statistics of vat": (virtual_adversarial_objective, {"radius": 0.3}),
}


def attempt(scenario, rank):
    if scenario in STATISTICS:
        return statistics(rank, *STATISTICS[scenario])
    name, wrap, replicas = scenario.split(" | ")
    more = {} if OBJECTIVES[name][1] is both else {"replicas": replicas}
    try:
        return train(name, wrap, rank=rank, **more)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def main(rank, folder, scenarios):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    where = Path(folder)
    distributed.init_process_group("gloo", init_method=f"file://{where / 'meeting'}", rank=rank, world_size=2)
    torch.save({scenario: attempt(scenario, rank) for scenario in (*scenarios, *STATISTICS)}, where / f"{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
