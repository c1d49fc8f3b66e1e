"""Run jobs in worker processes on this machine."""

import contextlib
import math
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.records.machine import cores, describe
from bench.records.schema import Environment
from bench.running import locks
from bench.running.ceilings import Ceilings
from bench.running.job import Event, Job
from bench.running.side_by_side import run_side_by_side
from bench.running.worker import execute


@dataclass(frozen=True)
class Local:
    """This machine. `memory`: MiB that a worker may hold; `wait`: seconds, for a device that another run times on."""

    memory: float = math.inf
    wait: float = 0.0
    tell: Callable[[str], None] = print  # that it waits, and for whom

    def slots(self) -> list[list[int]]:
        return [[core] for core in cores()]

    def environments(self) -> list[Environment]:
        return [describe()]

    def run(self, jobs: list[Job], slots: list[list[int]], say: Callable[[Event], None], device: str = "") -> None:
        """Run as `Executor` says. Locks the device, if there is one; raises locks.Held where it stays taken."""
        with locks.device(device, self.wait, self.tell) if device else contextlib.nullcontext():
            run(jobs, slots, say, self.memory)


def run(jobs: list[Job], slots: list[list[int]], say: Callable[[Event], None], memory: float = math.inf) -> None:
    """Run every job, as many at a time as there are slots, each on its slot's cores; `say` hears what happens."""
    free: queue.Queue[list[int]] = queue.Queue()
    for slot in slots:
        free.put(slot)
    ceilings = Ceilings()

    def work(job: Job, stop: threading.Event) -> Iterator[Event]:
        cores = free.get()
        try:
            yield from execute(job, cores, stop, ceilings, memory)
        finally:
            free.put(cores)

    run_side_by_side(jobs, sum(len(job.tasks) for job in jobs), work, len(slots), say)
