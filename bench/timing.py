"""Which cells to time, in which processes, and records of what came back."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from bench import cells
from bench.run import Job, Outcome
from bench.store import ROOT, CostRecord

UNIT_LIMIT = 300.0  # seconds for a method: compiling a double backward takes the longest


@contextlib.contextmanager
def expectations(workloads: list[str], methods: list[str]) -> Iterator[dict[str, Path]]:
    """What the oracle expects, a file a workload, in processes of their own so that NumPy's threads stay there."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        files = {workload: Path(folder) / f"{workload}.npz" for workload in workloads}
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "bench.expected", workload, str(file), *methods], cwd=ROOT, env=environment
            )
            for workload, file in files.items()
        ]
        for process in running:
            if process.wait() != 0:
                raise RuntimeError("the oracle's values could not be computed; its message stands above")
        yield files


def jobs(planned: list[cells.Cell], files: dict[str, Path], quick: bool) -> list[Job]:
    """One process a framework, mode and workload; within it every method beside the same plain step."""

    def process(cell: cells.Cell) -> tuple[str, str, str, str]:
        return cell.workload, cell.framework, cell.mode, cell.device

    made = []
    for (workload, framework, mode, device), group in groupby(planned, key=process):
        message = cells.job(
            framework,
            mode,
            workload,
            [cell.method for cell in group],
            device=device,
            cores=[],
            quick=quick,
            expected=str(files[workload]),
        )
        units = [method for _, method in message.pop("units")]
        made.append(Job("bench.cell", framework, message, units, UNIT_LIMIT))
    return made


def record(outcome: Outcome) -> CostRecord:
    """A cell's record. A result carries its own status: `wrong` has a reason and no times."""
    place = outcome.job.arguments
    facts: dict[str, Any] = {"status": outcome.status, "reason": outcome.reason} | outcome.result
    return CostRecord(
        method=outcome.unit,
        framework=outcome.job.framework,
        mode=place["mode"],
        workload=place["workload"],
        dtype=place["dtype"],
        device=place["device"],
        quick=place["quick"],
        **facts,
    )
