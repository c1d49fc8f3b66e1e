"""Can the timer be believed? A step beside itself must come out the same, one slowed by a tenth slower, every time.

Each run is what any comparison is: blocks in processes of their own, a noise floor, a verdict.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.costs import cells, timing
from bench.records.block_statistics import Word, block_effect, effect, judge_effect, noise_floor
from bench.records.schema import SelfCheckRecord
from bench.running.job import Job, Outcome

EXPECTED: dict[str, Word] = {cells.AGAIN: "same", cells.SLOWED: "slower"}
RUNS = 20


def plain_cell(framework: str, workload: str) -> cells.Cell:
    """The step that is compared with itself."""
    return cells.Cell("plain", framework, cells.QUICK_MODE[framework], workload)


def jobs(framework: str, workload: str, expected: Path, folder: Path, runs: int) -> list[Job]:
    """`runs` comparisons, one after the other, of the plain step with what must come out as EXPECTED."""
    planned = [replace(plain_cell(framework, workload), method=method) for method in ("plain", *EXPECTED)]
    how, files = timing.How(timing.BLOCKS, cold=False), {workload: expected}
    made = []
    for run in range(runs):
        for block in timing.jobs(planned, files, folder, how):
            made.append(replace(block, arguments=block.arguments | {"run": run}))
    return made


def record(outcome: Outcome) -> SelfCheckRecord:
    """A task's record."""
    place = outcome.job.arguments
    facts: dict[str, Any] = {"status": outcome.status, "reason": outcome.reason}
    facts |= {name: found for name, found in outcome.result.items() if name in SelfCheckRecord.model_fields}
    facts |= {name: place[name] for name in ("mode", "workload", "dtype", "device", "block", "run")}
    return SelfCheckRecord(method=outcome.task, framework=outcome.job.framework, **facts)


def verdicts(records: Iterable[SelfCheckRecord]) -> dict[str, list[Word]]:
    """What every run said of the methods in EXPECTED; "no data" where a block is missing or was not timed."""
    runs: dict[int, dict[str, list[float]]] = {}
    for found in records:
        number = block_effect(found.steps, found.base) if found.status == "ok" else float("nan")
        runs.setdefault(found.run, {}).setdefault(found.method, []).append(number)
    return {
        method: [
            judge_effect(effect(blocks.get(method, [])), noise_floor(blocks.get("plain", [])))
            for blocks in runs.values()
        ]
        for method in EXPECTED
    }


def holds(records: Iterable[SelfCheckRecord]) -> bool:
    """Whether every run said what it must, and there was one."""
    found = verdicts(records)
    return all(words and set(words) == {EXPECTED[method]} for method, words in found.items())
