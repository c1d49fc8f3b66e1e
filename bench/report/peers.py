"""Other packages on the same job: how many times the time of the fastest of ours each arm takes."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from bench.peers import OURS, UNSUPPORTED
from bench.report.costs import effects, measured_last, milliseconds, number, status
from bench.report.tables import mark, of_kind
from bench.statistics import effect, noise_floor, verdict
from bench.store import PeerRecord, latest

PEER_COLUMNS = (
    "task", "workload", "framework", "arm", "package", "ms", "× ours", "interval", "blocks", "beside ours", "status",
)  # fmt: skip
Blocks = list[PeerRecord]


def peer_table(records: Iterable[Any], code: str = "") -> pd.DataFrame:
    """One row an arm; above 1 it takes longer than ours, whose own row shows the noise."""
    found: dict[tuple[str, ...], dict[str, Blocks]] = {}
    for record in of_kind(latest(records), PeerRecord):
        arms = found.setdefault((record.task, record.workload, record.framework), {})
        arms.setdefault(record.method, []).append(record)
    rows = []
    for place, arms in found.items():
        base = OURS[place[2]][-1]
        blocks = {name: measured_last(each) for name, each in arms.items()}
        noise = noise_floor(effects(blocks.get(base, [])))
        rows += [(*place, *peer_row(name, each, noise, name == base, code)) for name, each in blocks.items()]
    for name, reason in UNSUPPORTED.items() if rows else ():
        rows.append(("", "", "", name, name, *[number(float("nan"), "")] * 3, "0", "no data", f"unsupported: {reason}"))
    return pd.DataFrame(rows, columns=PEER_COLUMNS)


def peer_row(name: str, blocks: Blocks, noise: float, base: bool, code: str) -> tuple[str, ...]:
    numbers = effects(blocks)
    found = effect(numbers)
    low, high = found.interval
    interval = f"{low:.2f}–{high:.2f}" if np.isfinite(found.mean) else number(float("nan"), "")
    word = "ours" if base else verdict(found, noise)
    times = number(milliseconds(blocks), ".3g"), number(found.ratio, ".2f"), interval
    return (name, blocks[-1].version, *times, str(found.blocks), word, mark(status(blocks), blocks, code))
