"""Other packages on the same job: how many times the time of the fastest of ours each arm takes."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from bench.peers import OURS, UNSUPPORTED
from bench.records.block_statistics import judge_effect, noise_floor
from bench.records.schema import PeerRecord
from bench.records.staleness import Codes
from bench.report.tables.costs import effects, estimate_effect, interval, measured_last, milliseconds, status
from bench.report.tables.entries import NONE, OPEN, Entry, count, framed, mark, number
from bench.report.tables.outcomes import of_kind

PEER_COLUMNS = (
    "task", "workload", "framework", "arm", "package", "ms", "× ours", "interval", "blocks", "beside ours", "status",
)  # fmt: skip
Blocks = list[PeerRecord]


def peer_table(records: Iterable[Any], code: Codes | None = None) -> pd.DataFrame:
    """One row an arm; above 1 it takes longer than ours, whose own row shows the noise."""
    found: dict[tuple[str, ...], dict[str, Blocks]] = {}
    for record in of_kind(records, PeerRecord):
        arms = found.setdefault((record.task, record.workload, record.framework), {})
        arms.setdefault(record.method, []).append(record)
    rows = []
    for place, arms in found.items():
        base = OURS[place[2]][-1]
        blocks = {name: measured_last(each) for name, each in arms.items()}
        noise = noise_floor(effects(blocks.get(base, [])))
        rows += [(*place, *peer_row(name, each, noise, name == base, code)) for name, each in blocks.items()]
    for name, reason in UNSUPPORTED.items() if rows else ():
        refused = Entry(f"unsupported: {reason}", state=OPEN)
        rows.append(("", "", "", name, name, NONE, NONE, NONE, count(0), "no data", refused))
    return framed(rows, PEER_COLUMNS)


def peer_row(name: str, blocks: Blocks, noise: float, base: bool, code: Codes | None) -> tuple[str, ...]:
    found = estimate_effect(blocks)
    word = "ours" if base else judge_effect(found, noise)
    times = number(milliseconds(blocks), ".3g"), number(found.ratio, ".2f"), interval(found)
    return (name, blocks[-1].version, *times, count(found.blocks), word, mark(status(blocks), blocks, code))
