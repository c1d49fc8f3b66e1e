"""Which tasks to time with which arms, in which processes, and records of what came back."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.costs import cells
from bench.costs.timing import TASK_LIMIT, How, ask
from bench.peers import TASKS
from bench.records.schema import PeerRecord
from bench.running.job import Job, Outcome


@dataclass(frozen=True)
class Match:
    """A task on a workload in a framework: its arms share processes."""

    task: str
    workload: str
    framework: str
    device: str = "cpu"


def plan(frameworks: Iterable[str], tasks: Iterable[str], device: str = "cpu", quick: bool = False) -> list[Match]:
    """Every task on its workloads, quick: on the first."""
    return [
        Match(task, workload, framework, device)
        for task in tasks
        for workload in TASKS[task].workloads[: 1 if quick else None]
        for framework in frameworks
        if TASKS[task].arms(framework)
    ]


def expect(planned: Iterable[Match]) -> None:
    """Let the oracle compute what the arms must give and keep it."""
    ask("bench.peers.expected_results", dict.fromkeys((match.task, match.workload) for match in planned))


def jobs(planned: list[Match], folder: Path, how: How) -> list[Job]:
    """Block after block, in each one process a task, workload and framework."""
    return [job(match, folder / "warm", how, block) for block in range(how.blocks) for match in planned]


def job(match: Match, caches: Path, how: How, block: int) -> Job:
    message = cells.job(
        match.framework,
        "",
        match.workload,
        TASKS[match.task].arms(match.framework),
        device=match.device,
        cores=[],
        quick=how.quick,
        expected="",  # `bench.peers.expected_results` keeps it
        folder=str(caches),
        block=block,
    )
    arms = [arm for _, arm in message.pop("tasks")]
    together = f"{match.task} {match.workload} {match.framework}"
    arguments = message | {"task": match.task}
    return Job("bench.peers.time_block", match.framework, arguments, arms, TASK_LIMIT, together=together)


def record(outcome: Outcome) -> PeerRecord:
    """A task's record."""
    place = outcome.job.arguments
    facts: dict[str, Any] = {"status": outcome.status, "reason": outcome.reason} | outcome.result
    facts |= {name: place[name] for name in ("task", "mode", "workload", "dtype", "device", "block", "quick")}
    return PeerRecord(method=outcome.task, framework=outcome.job.framework, **facts)
