"""Which cells to time, in which processes, and records of what came back."""

import math
import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from bench.costs import cells
from bench.places import PYTHON, START
from bench.records.machine import cores
from bench.records.schema import ColdRecord, CostRecord
from bench.running import caches
from bench.running.job import Job, Outcome

TASK_LIMIT = 300.0  # seconds for a method: compiling a double backward takes the longest
BLOCKS = 6  # processes that a ratio is the mean of; see `bench.records.block_statistics`


@dataclass(frozen=True)
class How:
    """How thoroughly to measure."""

    blocks: int = BLOCKS
    quick: bool = False  # few samples
    cold: bool = True  # compilation and memory too


def expectations(planned: Iterable[cells.Cell], folder: Path) -> dict[str, Path]:
    """What the oracle expects, a file a workload, all at once; the cells are of one dtype."""
    planned = list(planned)
    (dtype,) = {cell.dtype for cell in planned}
    methods: dict[str, dict[str, None]] = {}
    for cell in planned:
        if cell.method != cells.PRODUCTS:
            methods.setdefault(cell.workload, {})[cell.method] = None
    files = {workload: folder / f"{workload}.npz" for workload in methods}

    ask(
        "bench.costs.expected_steps",
        [(workload, dtype, str(files[workload]), *methods[workload]) for workload in files],
    )
    return files


def ask(oracle: str, questions: Iterable[Sequence[str]]) -> None:
    """Run a module of the oracle's once a question, each in a process with one thread, as many as there are cores."""

    def compute(question: Sequence[str]) -> int:
        command = [*PYTHON, "-m", oracle, *question]
        return subprocess.run(command, cwd=START, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}).returncode

    with ThreadPoolExecutor(len(cores())) as pool:
        if any(pool.map(compute, questions)):
            raise RuntimeError("what the oracle expects could not be computed; its message stands above")


def jobs(planned: list[cells.Cell], files: dict[str, Path], folder: Path, how: How) -> list[Job]:
    """Block after block, in each one process a framework, mode and workload: frameworks take turns.

    Then each method cold, in a process of its own. In `folder` is what compilers keep, for this command alone unless
    the environment names another.
    """
    warm = Path(os.environ.get(caches.KEPT_IN) or folder / "warm")

    def process(cell: cells.Cell) -> tuple[str, str, str, str]:
        return cell.workload, cell.framework, cell.mode, cell.device

    groups = [list(group) for _, group in groupby(planned, key=process)]
    made = [job("bench.costs.time_block", group, files, warm, how, n) for n in range(how.blocks) for group in groups]
    if how.cold:
        steps = [cell for cell in planned if cell.method != cells.PRODUCTS]
        made += [job("bench.costs.time_cold", [cell], files, folder / f"cold-{n}", how) for n, cell in enumerate(steps)]
    return made


def job(module: str, group: list[cells.Cell], files: dict[str, Path], caches: Path, how: How, block: int = 0) -> Job:
    """A process for cells that share framework, mode, workload and device."""
    cell = group[0]
    message = cells.job(
        cell.framework,
        cell.mode,
        cell.workload,
        [cell.method for cell in group],
        device=cell.device,
        cores=[],
        quick=how.quick,
        expected=str(files[cell.workload]),
        folder=str(caches),
        block=block,
        dtype=cell.dtype,
    )
    tasks = [method for _, method in message.pop("tasks")]
    together = f"{cell.workload} {cell.framework} {cell.mode}"  # a ratio's blocks are from one machine
    return Job(module, cell.framework, message, tasks, TASK_LIMIT, sizes(group), together=together)


def sizes(group: list[cells.Cell]) -> list[tuple[str, float]]:
    """Split each cell whose workload's name states sizes into what it is but for them, and their product."""
    stated = [int(number) for number in re.findall(r"=(\d+)", group[0].workload)]
    kind = re.sub(r"=\d+", "", group[0].workload)
    return [(f"{cell.method} {cell.framework} {cell.mode} {kind}", math.prod(stated)) for cell in group if stated]


def record(outcome: Outcome) -> CostRecord | ColdRecord:
    """A task's record. A result carries its own status: `wrong` has a reason and no times."""
    place = outcome.job.arguments
    facts: dict[str, Any] = {"status": outcome.status, "reason": outcome.reason} | outcome.result
    facts |= {name: place[name] for name in ("mode", "workload", "dtype", "device")}
    facts |= {"method": outcome.task, "framework": outcome.job.framework}
    if outcome.job.module == "bench.costs.time_cold":
        return ColdRecord(**facts)
    floor = cells.TIMED[outcome.task].floor if outcome.task in cells.TIMED else 0
    return CostRecord(**facts, block=place["block"], quick=place["quick"], floor=float(floor))
