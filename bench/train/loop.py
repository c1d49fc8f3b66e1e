"""One run: epochs of batches that the seed orders, then what the model is worth. The same in the three frameworks."""

import importlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.train.data import Batch, Dataset, rows, size, trimmed
from bench.train.regimes import DROPPED, Regime
from bench.train.unfinished import Keeper, Run
from equivalence.cases import Case


@dataclass(frozen=True)
class Trained:
    """`losses` of every step, their means by `epochs`, `seconds` a step without the first ones."""

    trainer: Any  # holds the parameters
    losses: list[float]
    epochs: list[float]
    seconds: float


WARM = 3  # steps that compile
TOLD = 2.0  # seconds between two words about how far a training is
RECENT = 50  # steps whose median says how long the next one takes
RATES = {"adam": 1, "momentum": 32}  # of a data set's rate, which is the length of Adam's steps; of a gradient's, less


def ignore(text: str) -> None:
    """Say nothing."""


def train(
    framework: str,
    dataset: Dataset,
    regime: Regime,
    strength: float,
    seed: int,
    *,
    optimizer: str = "adam",
    dtype: str = "float32",
    device: str = "cpu",
    steps: int | None = None,
    keeper: Keeper | None = None,
    tell: Callable[[str], None] = ignore,
) -> Trained:
    """Train until the data set's epochs are over, the loss is no number, or so many steps are done.

    `keeper` keeps what is done after epochs, and goes on from what it has kept; `tell` hears how far it is.
    """
    module = importlib.import_module(f"bench.train.{framework}")
    options = {"optimizer": optimizer, "rate": RATES[optimizer] * dataset.rate, "dtype": dtype, "device": device}
    trainer = module.Trainer(dataset.start, regime, strength, **options)
    run = started(seed)
    if keeper:
        keeper.restore(trainer, run)
    each = steps_of_an_epoch(dataset)
    most = min(steps or math.inf, dataset.epochs * each)
    pace = Pace(int(most), tell)
    while len(run.losses) < most:
        for labelled, unlabelled, extra in epoch(dataset, regime, strength, run):
            began = time.perf_counter()
            run.losses.append(trainer.step(labelled, unlabelled, extra))
            run.times.append(time.perf_counter() - began)
            if not math.isfinite(run.losses[-1]) or len(run.losses) == most:
                most = len(run.losses)
                break
            pace.say(run.times, len(run.losses))
        run.epoch += 1
        if keeper and len(run.losses) < most:
            keeper.save(trainer, run, dataset.epochs)
    epochs = [float(np.mean(run.losses[start : start + each])) for start in range(0, len(run.losses), each)]
    return Trained(trainer, run.losses, epochs, float(np.median(run.times[WARM:] or run.times)))


class Pace:
    """Says how far a training is, and how long the rest will take: now and then."""

    def __init__(self, steps: int, tell: Callable[[str], None]):
        self.steps, self.tell, self.told = steps, tell, time.monotonic()

    def say(self, times: list[float], done: int) -> None:
        if time.monotonic() - self.told < TOLD:
            return
        left = float(np.median(times[-RECENT:])) * (self.steps - done)
        self.tell(f"step {done} of {self.steps}, {duration(left)} left")
        self.told = time.monotonic()


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def started(seed: int) -> Run:
    """A training before its first step. Order and draws are every regime's: by the seed."""
    return Run(np.random.default_rng((seed, 3)), np.random.default_rng((seed, 4)), 0, [], [])


def steps_of_an_epoch(dataset: Dataset) -> int:
    return max(1, size(dataset.labelled) // min(dataset.batch, size(dataset.labelled)))


def batches(dataset: Dataset, regime: Regime, strength: float, seed: int) -> Iterator[tuple[Batch, Batch, Batch]]:
    """Labelled and unlabelled samples and what is drawn for every step."""
    run = started(seed)
    for _ in range(dataset.epochs):
        yield from epoch(dataset, regime, strength, run)


def epoch(dataset: Dataset, regime: Regime, strength: float, run: Run) -> Iterator[tuple[Batch, Batch, Batch]]:
    """The steps of the next epoch, which move the run's generators."""
    many = min(dataset.batch, size(dataset.labelled))
    chosen = run.order.permutation(size(dataset.labelled))
    for start in range(0, len(chosen) - many + 1, many):  # whole batches only: shapes stay, and nothing recompiles
        others = run.order.integers(size(dataset.unlabelled), size=many)
        labelled = trimmed(rows(dataset.labelled, chosen[start : start + many]), dataset.granule)
        unlabelled = trimmed(rows(dataset.unlabelled, others), dataset.granule) if regime.unlabelled else labelled
        yield labelled, unlabelled, draw_batch(dataset.start, regime, strength, unlabelled, run.draws)


def draw_batch(start: Case, regime: Regime, strength: float, batch: Batch, rng: np.random.Generator) -> Batch:
    """What the regime takes beside the samples: of the shape of what is perturbed in the batch, or of the outputs."""
    shape = batch["x"].shape if "x" in batch else (*batch["tokens"].shape, start.params[str(start.table)].shape[1])
    classes = next(len(value) for name, value in start.params.items() if name in ("output.bias", "classifier.bias"))
    found: Batch = {}
    for draw in regime.draws:
        if draw == "u":
            kernels = {name: value for name, value in start.params.items() if value.ndim > 1}
            found |= {f"u {name}": rng.standard_normal(len(value)) for name, value in sorted(kernels.items())}
        elif draw == "class_probes":
            found[draw] = rng.choice([-1.0, 1.0], (1, shape[0], classes))
        elif draw in ("masks", "pair"):
            copies, rate = (1, strength) if draw == "masks" else (2, DROPPED)
            found[draw] = (rng.uniform(size=(copies, *shape)) >= rate) / (1 - rate)
        else:
            found[draw] = rng.standard_normal(shape if draw == "start" else (1, *shape))
    return found
