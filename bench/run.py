"""Run jobs in worker processes on this machine. A worker that crashes or hangs costs the unit it was on."""

import json
import math
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from bench.store import ROOT, Status

STARTING = 120.0  # seconds that importing a framework may take
TAIL = 400  # characters of a dead worker's output that are kept


@dataclass(frozen=True)
class Job:
    """Units for one worker: `module` is run as `python -m`, `arguments` and the numbered units go to its input."""

    module: str
    framework: str
    arguments: dict[str, Any]
    units: list[Any]
    limit: float = 120.0  # seconds a unit may take


@dataclass(frozen=True)
class Outcome:
    """What became of a unit: its result where the status is ok, else the reason."""

    job: Job
    unit: Any
    status: Status
    reason: str = ""
    seconds: float = 0.0
    memory: float = math.nan  # MiB, the most that its worker had held by then
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Started:
    """A unit is being measured, by this process."""

    job: Job
    unit: Any
    process: int


def run(jobs: list[Job], slots: list[list[int]], say: Callable[[Any], None]) -> None:
    """Run every job, as many at a time as there are slots, each on its slot's cores; `say` hears what happens.

    Every unit has exactly one Outcome, whatever its worker does. `say` is called from this thread alone.
    """
    free: queue.Queue[list[int]] = queue.Queue()
    for slot in slots:
        free.put(slot)
    heard: queue.Queue[Any] = queue.Queue()
    stop = threading.Event()

    def work(job: Job) -> None:
        cores = free.get()
        try:
            for event in execute(job, cores):
                heard.put(event)
                if stop.is_set():
                    return
        finally:
            free.put(cores)

    with ThreadPoolExecutor(len(slots)) as pool:
        futures = [pool.submit(work, job) for job in jobs]
        left = sum(len(job.units) for job in jobs)
        try:
            while left:
                event = heard.get()
                left -= isinstance(event, Outcome)
                say(event)
        except BaseException:
            stop.set()  # workers in hand end with their unit, no other starts
            pool.shutdown(cancel_futures=True)
            raise
        for future in futures:
            future.result()


def execute(job: Job, cores: list[int]) -> Iterator[Started | Outcome]:
    """Work through a job's units; after a death the rest goes to a new worker."""
    waiting = list(enumerate(job.units))
    while waiting:
        with Worker(job, waiting, cores) as worker:
            yield from worker.events()
        if worker.current is not None:
            yield Outcome(job, job.units[worker.current], *worker.obituary())
        elif not worker.seen:  # it never came to a unit: another one would not either
            for _, unit in waiting:
                yield Outcome(job, unit, *worker.obituary())
            return
        waiting = [(number, unit) for number, unit in waiting if number not in worker.seen]


class Worker:
    """One process and what it has said so far."""

    def __init__(self, job: Job, units: list[tuple[int, Any]], cores: list[int]):
        self.job = job
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed where the worker ends
        self.process = subprocess.Popen(
            [sys.executable, "-m", job.module],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            encoding="utf-8",
        )
        self.message = json.dumps({**job.arguments, "framework": job.framework, "cores": cores, "units": units})
        self.current: int | None = None
        self.seen: set[int] = set()
        self.timed_out = False

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None and exception[0] is not None:
            self.process.kill()
        self.process.wait()
        self.tail = self._tail()
        self.errors.close()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()

    def events(self) -> Iterator[Started | Outcome]:
        """What it says, until it ends or is stopped because a unit takes longer than the limit."""
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(self.message)
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # dead already: the obituary says why
        watch = Watch(self)
        watch.restart(STARTING + self.job.limit)
        try:
            for line in self.process.stdout:
                try:
                    event = json.loads(line)
                except ValueError:
                    break  # cut off by its death
                watch.restart(self.job.limit)
                yield from self.heard(event)
        finally:
            watch.stop()

    def heard(self, event: dict[str, Any]) -> Iterator[Started | Outcome]:
        if event["event"] == "ready":
            return
        number = event["number"]
        unit = self.job.units[number]
        self.seen.add(number)
        if event["event"] == "start":
            self.current = number
            yield Started(self.job, unit, self.process.pid)
        else:
            self.current = None
            status: Status = "failed" if "error" in event else "ok"
            spent = event["seconds"], event.get("memory", math.nan)
            yield Outcome(self.job, unit, status, event.get("error", ""), *spent, event.get("result", {}))

    def obituary(self) -> tuple[Status, str, float]:
        """Status and reason of the unit that it died on."""
        if self.timed_out:
            return "timeout", f"took longer than {self.job.limit:g} s", self.job.limit
        code = self.process.returncode
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return "failed", f"the worker died: {how}. {self.tail}".strip(), 0.0

    def _tail(self) -> str:
        size = self.errors.seek(0, 2)
        self.errors.seek(max(0, size - TAIL))
        return self.errors.read().decode("utf-8", "replace").strip()


class Watch:
    """Kills a worker that has been silent for too long."""

    def __init__(self, worker: Worker):
        self.worker = worker
        self.timer: threading.Timer | None = None

    def restart(self, seconds: float) -> None:
        self.stop()
        self.timer = threading.Timer(seconds, self.kill)
        self.timer.daemon = True
        self.timer.start()

    def stop(self) -> None:
        if self.timer:
            self.timer.cancel()

    def kill(self) -> None:
        self.worker.timed_out = True
        self.worker.process.kill()
