"""Trainings with the same seed in several frameworks: their losses, and how far they part."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from bench.records.schema import TrainingRecord
from bench.report.tables.entries import Entry, count, framed
from bench.report.tables.outcomes import of_kind

CURVE_COLUMNS = ("data set", "regime", "frameworks", "steps", "largest relative difference")
Losses = dict[str, dict[str, np.ndarray]]  # by regime and framework


def curves(records: Iterable[Any]) -> dict[str, Losses]:
    """Find by data set what was trained to compare frameworks, with whichever strength was last."""
    found: dict[str, Losses] = {}
    for record in sorted(of_kind(records, TrainingRecord), key=lambda record: record.time):
        if record.part == "curve" and record.losses:
            regimes = found.setdefault(record.dataset, {})
            regimes.setdefault(record.regime, {})[record.framework] = np.asarray(record.losses)
    return found


def differences(losses: dict[str, np.ndarray]) -> np.ndarray:
    """The largest relative difference between frameworks at each step."""
    steps = min(map(len, losses.values()))
    every = np.stack([each[:steps] for each in losses.values()])
    return (every.max(0) - every.min(0)) / np.abs(every).max(0)


def curves_table(records: Iterable[Any]) -> pd.DataFrame:
    """One row a data set and regime that at least two frameworks trained with."""
    rows = []
    for data, regimes in curves(records).items():
        for regime, losses in regimes.items():
            if len(losses) > 1:
                apart = differences(losses)
                largest = float(apart.max())
                rows.append((data, regime, ", ".join(losses), count(len(apart)), Entry(f"{largest:.1e}", largest)))
    return framed(rows, CURVE_COLUMNS)
