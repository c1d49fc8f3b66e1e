"""Variations of right implementations: what a check refuses of them is a false alarm."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from bench.records.schema import VariationRecord
from bench.records.staleness import Codes
from bench.report.tables.entries import NONE, NOT_MEASURED, Entry, count, framed, mark
from bench.report.tables.outcomes import frameworks, of_kind, worst


def variations_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a framework: how many right variations were measured, and how many a check refused."""
    found = of_kind(records, VariationRecord)
    rows = []
    for name in frameworks(found):
        own = [record for record in found if record.framework == name]
        alarms = sum(len(record.failures) + (record.status != "ok") for record in own)
        measured = count(sum(record.count for record in own)) if own else NOT_MEASURED
        largest = worst(record.worst for record in own)
        rows.append(
            {
                "framework": name,
                "variations": mark(measured, own, code),
                "false alarms": count(alarms) if own else NONE,
                "largest error": Entry(f"{largest:.2g}", largest) if own else NONE,
            }
        )
    return framed(rows)
