"""What a run is made of: jobs, and what becomes of their tasks, whichever executor works through them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from bench.records.schema import Environment, Status


@dataclass(frozen=True)
class Job:
    """Tasks for one worker: `module` is run as `python -m`, `arguments` and the numbered tasks go to its input."""

    module: str
    framework: str
    arguments: dict[str, Any]
    tasks: list[Any]
    limit: float = 120.0  # seconds a task may take
    # Of each task, where tasks grow: what it is but for its size, and its size. After one that takes too long or too
    # much memory, larger ones of the same name are skipped.
    sizes: list[tuple[str, float]] = field(default_factory=list)
    together: str = ""  # jobs of one name are measured on one machine, one after the other
    processor_time: bool = False  # the limit is of that: a busy machine changes nothing, and waiting ends later

    def only(self, wanted: Callable[[Any], bool]) -> "Job":
        """The same job with some of its tasks."""
        kept = [number for number, task in enumerate(self.tasks) if wanted(task)]
        sizes = [self.sizes[number] for number in kept] if self.sizes else []
        return replace(self, tasks=[self.tasks[number] for number in kept], sizes=sizes)


@dataclass(frozen=True)
class Outcome:
    """What became of a task: its result where the status is ok, else the reason."""

    job: Job
    task: Any
    status: Status
    reason: str = ""
    seconds: float = 0.0
    memory: float = math.nan  # MiB, the most that its worker had held by then
    result: dict[str, Any] = field(default_factory=dict)
    environment: Environment | None = None  # where it was measured; None: here


@dataclass(frozen=True)
class Started:
    """A task is being measured, by this process."""

    job: Job
    task: Any
    process: int


@dataclass(frozen=True)
class Told:
    """What a task says while it runs: how far it is, or, lasting, what is to be read when it is over, too."""

    job: Job
    task: Any
    text: str
    lasting: bool = False


Event = Started | Told | Outcome


class Unusable(RuntimeError):
    """An executor cannot do what is asked: there is no cluster, say. Nothing has been measured."""


class Executor(Protocol):
    """Works through jobs, here or elsewhere."""

    def slots(self) -> list[list[int]]:
        """Cores for each of the jobs that may run side by side."""

    def environments(self) -> list[Environment]:
        """The machines that may measure, as they are now."""

    def run(self, jobs: list[Job], slots: list[list[int]], say: Callable[[Event], None], device: str = "") -> None:
        """Run every job, as many at a time as there are slots; `say` hears what happens, in this thread alone.

        Every task has exactly one Outcome, whatever its worker does. With a device, nothing else is timed on it
        meanwhile. Ctrl-C: what is not finished is said to be interrupted, then KeyboardInterrupt.
        """
