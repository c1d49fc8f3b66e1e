"""What a trained model is worth on a part of its data set."""

from typing import Any

import numpy as np

from bench.train.data import Batch, Dataset, rows, size
from bench.train.measures import measures
from bench.train.robustness import robustness

CHUNK = 500  # samples whose logits are computed at once


def worth(trainer: Any, dataset: Dataset, part: str, seed: int) -> dict[str, float]:
    """Measures on the validation part, or on the test part with robustness beside them."""
    batch = dataset.validation if part == "validation" else dataset.test
    found = measures(logits(trainer, batch), batch["labels"])
    if part == "test":
        found |= robustness(trainer.problem, trainer.parameters(), dataset.test, seed)
    return found


def logits(trainer: Any, batch: Batch) -> np.ndarray:
    """(N, C), in chunks of one shape but the last."""
    starts = range(0, size(batch), CHUNK)
    return np.concatenate(
        [trainer.logits(rows(batch, np.arange(start, min(start + CHUNK, size(batch))))) for start in starts]
    )
