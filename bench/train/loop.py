"""One run: epochs of batches that the seed orders, then what the model is worth. The same in the three frameworks."""

import importlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.train.data import Batch, Dataset, rows, size
from bench.train.regimes import Regime
from equivalence.cases import Case


@dataclass(frozen=True)
class Trained:
    """`losses` of every step, their means by `epochs`, `seconds` a step without the first ones."""

    trainer: Any  # holds the parameters
    losses: list[float]
    epochs: list[float]
    seconds: float


WARM = 3  # steps that compile
RATES = {"adam": 1, "momentum": 32}  # of a data set's rate, which is the length of Adam's steps; of a gradient's, less


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
) -> Trained:
    """Train until the data set's epochs are over, the loss is no number, or so many steps are done."""
    module = importlib.import_module(f"bench.train.{framework}")
    options = {"optimizer": optimizer, "rate": RATES[optimizer] * dataset.rate, "dtype": dtype, "device": device}
    trainer = module.Trainer(dataset.start, regime, strength, **options)
    losses, times = [], []
    for labelled, unlabelled, extra in batches(dataset, regime, strength, seed):
        began = time.perf_counter()
        losses.append(trainer.step(labelled, unlabelled, extra))
        times.append(time.perf_counter() - began)
        if not math.isfinite(losses[-1]) or len(losses) == steps:
            break
    each = max(1, size(dataset.labelled) // min(dataset.batch, size(dataset.labelled)))  # steps an epoch
    epochs = [float(np.mean(losses[start : start + each])) for start in range(0, len(losses), each)]
    return Trained(trainer, losses, epochs, float(np.median(times[WARM:] or times)))


def batches(dataset: Dataset, regime: Regime, strength: float, seed: int) -> Iterator[tuple[Batch, Batch, Batch]]:
    """Labelled and unlabelled samples and what is drawn for a step. Order and draws are every regime's: by the seed."""
    order, draws = np.random.default_rng((seed, 3)), np.random.default_rng((seed, 4))
    many = min(dataset.batch, size(dataset.labelled))
    for _ in range(dataset.epochs):
        chosen = order.permutation(size(dataset.labelled))
        for start in range(0, len(chosen) - many + 1, many):  # whole batches only: shapes stay, and nothing recompiles
            others = order.integers(size(dataset.unlabelled), size=many)
            labelled = rows(dataset.labelled, chosen[start : start + many])
            unlabelled = rows(dataset.unlabelled, others) if regime.unlabelled else labelled
            yield labelled, unlabelled, draw_batch(dataset.start, regime, strength, many, draws)


def draw_batch(start: Case, regime: Regime, strength: float, many: int, rng: np.random.Generator) -> Batch:
    """What the regime takes beside the samples: of the shape of what is perturbed, or of the outputs."""
    one = start.x if start.tokens is None else start.params[str(start.table)][start.tokens]
    shape = (many, *one.shape[1:])  # type: ignore[union-attr]
    classes = next(len(value) for name, value in start.params.items() if name in ("output.bias", "classifier.bias"))
    found: Batch = {}
    for draw in regime.draws:
        if draw == "u":
            kernels = {name: value for name, value in start.params.items() if value.ndim > 1}
            found |= {f"u {name}": rng.standard_normal(len(value)) for name, value in sorted(kernels.items())}
        elif draw == "class_probes":
            found[draw] = rng.choice([-1.0, 1.0], (1, many, classes))
        elif draw == "masks":
            found[draw] = (rng.uniform(size=(1, *shape)) >= strength) / (1 - strength)
        else:
            found[draw] = rng.standard_normal(shape if draw == "start" else (1, *shape))
    return found
