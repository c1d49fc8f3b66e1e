"""Which of the frameworks' own losses can be differentiated, and how often."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from bench.records.schema import OwnLossRecord
from bench.records.staleness import Codes
from bench.report.tables.entries import BAD, NEUTRAL, NOT_MEASURED, STATES, Entry, as_entry, framed, mark
from bench.report.tables.outcomes import of_kind
from equivalence.own_losses import WRONG


def own_losses_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row a loss: whether its second derivative and its third are right."""
    columns = ["framework", "its own loss", "twice", "three times"]
    rows = [
        (record.framework, record.loss, *(mark(own_loss_entry(record, times), [record], code) for times in columns[2:]))
        for record in of_kind(records, OwnLossRecord)
    ]
    return framed(rows, columns)


def own_loss_entry(record: OwnLossRecord, times: str) -> Entry:
    """What `equivalence.own_losses` answered, or why it did not."""
    if record.status != "ok":
        return Entry(f"{record.status}: {record.reason}", state=STATES.get(record.status, NEUTRAL))
    answer = record.derivatives.get(times, NOT_MEASURED)
    return Entry(answer, state=BAD) if answer.startswith(WRONG) else as_entry(answer)
