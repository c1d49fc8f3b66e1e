"""What a trained model is worth on a part of its data set."""

from typing import Any

import numpy as np

from bench.train.data import Batch, Dataset, rows, size, trimmed
from bench.train.measures import measures
from bench.train.robustness import robustness

CHUNK = 500  # samples whose logits are computed at once
LONG = 100  # where their lengths differ: those of about one length together


def worth(trainer: Any, dataset: Dataset, part: str, seed: int, attacked: bool = True) -> dict[str, float]:
    """Measures on the validation part, or on the test part, with those elsewhere and robustness beside them."""
    if part == "validation":
        return measured(trainer, dataset.validation, dataset.granule)
    found = measured(trainer, dataset.test, dataset.granule)
    if dataset.elsewhere:
        elsewhere = measured(trainer, dataset.elsewhere, dataset.granule)
        found |= {f"elsewhere_{name}": value for name, value in elsewhere.items()}
    if attacked:
        found |= robustness(trainer.problem, trainer.parameters(), dataset.test, seed, dataset.granule)
    return found


def measured(trainer: Any, batch: Batch, granule: int) -> dict[str, float]:
    return measures(logits(trainer, batch, granule), batch["labels"])


def logits(trainer: Any, batch: Batch, granule: int = 0) -> np.ndarray:
    """(N, C), in chunks: of one shape but the last, or trimmed, of about one length."""
    many = size(batch)
    chunk, order = (LONG, np.argsort(batch["mask"].sum(1), kind="stable")) if granule else (CHUNK, np.arange(many))
    parts = [order[start : start + chunk] for start in range(0, many, chunk)]
    found = np.concatenate([trainer.logits(trimmed(rows(batch, part), granule)) for part in parts])
    return found[np.argsort(order)]
