"""Work through one job in worker processes on this machine. One that crashes or hangs costs the task it was on."""

import contextlib
import json
import math
import os
import secrets
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil

from bench.places import PYTHON, START
from bench.records.schema import Status
from bench.running.ceilings import Ceilings
from bench.running.job import Event, Job, Outcome, Started, Told
from equivalence.clock import Spent
from equivalence.foreign.limit import overtime

STARTS = 2  # workers that may die while they start, before it is said that another one would not either
STARTING = 120.0  # seconds that importing a framework may take
TAIL = 400  # characters of a dead worker's output that are kept
MARK = "EQUIREG_WORKER"  # a variable that a worker and all that it starts have from their beginning
LOOK = 0.2  # seconds between two looks at a worker: seldom enough not to disturb what it times


def execute(
    job: Job, cores: list[int], stop: threading.Event, ceilings: Ceilings, memory: float = math.inf
) -> Iterator[Event]:
    """Work through a job's tasks; after a death the rest goes to a new worker. `memory` in MiB, of one worker."""
    left, starts = set(range(len(job.tasks))), 0
    while left:
        before = len(left)
        for number, event in attempt(job, sorted(left), cores, stop, ceilings, memory, last=starts + 1 == STARTS):
            if isinstance(event, Outcome):
                left.remove(number)
                ceilings.note(job, number, event)
            yield event
        starts += len(left) == before


def attempt(
    job: Job, numbers: list[int], cores: list[int], stop: threading.Event, ceilings: Ceilings, memory: float, last: bool
) -> Iterator[tuple[int, Event]]:
    """What becomes of at least one of the tasks, by number; of none, if its worker died while it started.

    That may have been bad luck: only of the `last` attempt is it what becomes of them all.
    """
    ended: tuple[Status, str]
    if stop.is_set():
        ended = "interrupted", "the run was stopped before this was started"
    elif over := [number for number in numbers if ceilings.reason(job, number)]:
        ended, numbers = ("skipped", ceilings.reason(job, over[0])), over[:1]
    else:
        with Worker(job, numbers, cores, stop, memory) as worker:
            yield from worker.events()
        ended = worker.explain_end()
        if worker.current is not None:
            numbers = [worker.current]
        elif worker.seen or not (last or worker.watch.verdict):
            return
    for number in numbers:  # of a worker that never came to a task all: another one would not either
        yield number, Outcome(job, job.tasks[number], *ended)


class Worker:
    """One process and what it has said so far."""

    def __init__(self, job: Job, numbers: list[int], cores: list[int], stop: threading.Event, memory: float):
        self.job = job
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed where the worker ends
        self.mark = secrets.token_hex()
        self.process = subprocess.Popen(
            [*PYTHON, "-m", job.module],
            cwd=START,
            # The allocator reads its part as a process starts.
            env=os.environ | job.arguments.get("environment", {}) | {MARK: self.mark},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is the run's to hear, not the worker's
        )
        tasks = [(number, job.tasks[number]) for number in numbers]
        self.token = secrets.token_hex()
        arguments = {**job.arguments, "token": self.token}
        self.message = json.dumps({**arguments, "framework": job.framework, "cores": cores, "tasks": tasks})
        self.watch = Watch(self.process.pid, self.mark, stop, memory, job.processor_time)
        self.current: int | None = None
        self.seen: set[int] = set()

    def __enter__(self) -> "Worker":
        self.watch.expect(STARTING + self.job.limit)
        self.watch.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if exception[0] is not None:
            self.watch.kill()
        self.process.wait()
        self.watch.kill_rest()
        self.watch.done.set()
        self.watch.join()
        self.tail = self._tail()
        self.errors.close()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()

    def events(self) -> Iterator[tuple[int, Event]]:
        """What it says of which task, until it ends or is ended."""
        assert self.process.stdin and self.process.stdout
        with contextlib.suppress(BrokenPipeError):  # dead already: `explain_end` says why
            self.process.stdin.write(self.message)
            self.process.stdin.close()
        for line in self.process.stdout:
            said = self.event(line)
            if not said:
                continue
            self.watch.expect(self.job.limit)
            if said["event"] != "ready":
                event = self.heard(said)
                yield said["number"], event
                if isinstance(event, Outcome) and event.status == "oom":
                    self.watch.kill()  # what it still holds would be missing for the next task
                    return

    def event(self, line: str) -> dict[str, Any]:
        """What a line says; nothing, if it was cut off by the worker's death or another than the worker wrote it.

        A process that the worker has forked knows the token too, but not more than one of them can end a task.
        """
        try:
            said = json.loads(line)
        except ValueError:
            return {}
        if not isinstance(said, dict) or said.get("token") != self.token:
            return {}
        return {} if said["event"] in ("told", "done") and said["number"] != self.current else said

    def heard(self, said: dict[str, Any]) -> Event:
        number = said["number"]
        task = self.job.tasks[number]
        self.seen.add(number)
        if said["event"] == "start":
            self.current = number
            return Started(self.job, task, self.process.pid)
        if said["event"] == "told":
            return Told(self.job, task, said["text"], said["lasting"])
        self.current = None
        spent = said["seconds"], said.get("memory", math.nan)
        return Outcome(self.job, task, said["status"], said.get("error", ""), *spent, said.get("result", {}))

    def explain_end(self) -> tuple[Status, str]:
        """Status and reason of the task that it died on."""
        if self.watch.verdict:
            return self.watch.verdict
        code = self.process.returncode
        if -code == signal.SIGKILL:
            held = f"it held {self.watch.held:.0f} MiB when it was last looked at"
            return "oom", f"killed by SIGKILL, as by a system that runs out of memory; {held}. {self.tail}".strip()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return "failed", f"the worker died: {how}. {self.tail}".strip()

    def _tail(self) -> str:
        size = self.errors.seek(0, 2)
        self.errors.seek(max(0, size - TAIL))
        return self.errors.read().decode("utf-8", "replace").strip()


class Watch(threading.Thread):
    """Ends a worker that is silent for too long, holds too much memory, or whose run is stopped."""

    def __init__(self, process: int, mark: str, stop: threading.Event, memory: float, processor_time: bool):
        super().__init__(daemon=True)
        self.mark = mark
        self.process, self.stop, self.memory = psutil.Process(process), stop, memory
        self.processor_time = processor_time
        self.done = threading.Event()
        self.held = 0.0  # MiB, at the last look
        self.verdict: tuple[Status, str] | None = None

    def expect(self, seconds: float) -> None:
        """A word from the worker, within so many seconds."""
        self.expected = seconds, time.monotonic() + seconds, self.spent()

    def spent(self) -> Spent | None:
        """The clock that counts from now on, where it is not the one on the wall."""
        try:
            return Spent(self.process.pid) if self.processor_time else None
        except psutil.Error:  # it has just ended
            return None

    def late(self) -> str:
        """What is over its limit, in words."""
        seconds, deadline, spent = self.expected
        if spent is None:
            return f"took longer than {seconds:g} s" if time.monotonic() > deadline else ""
        return overtime(spent.processor(), spent.idle(), seconds)

    def run(self) -> None:
        while not self.done.wait(LOOK):
            with contextlib.suppress(psutil.Error):  # it has just ended
                self.held = self.process.memory_info().rss / 2**20 or self.held
                if verdict := self.judge():
                    self.verdict = verdict
                    self.kill()
                    return

    def judge(self) -> tuple[Status, str] | None:
        if self.stop.is_set():
            return "interrupted", "the run was stopped before this was done"
        if late := self.late():
            return "timeout", late
        if self.held > self.memory:
            return "oom", f"held {self.held:.0f} MiB, more than the limit of {self.memory:.0f} MiB"
        return None

    def kill(self) -> None:
        """The process and those that it has started, a compiler's for instance."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in (*self.process.children(recursive=True), self.process):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self.kill_rest()

    def kill_rest(self) -> None:
        """What the process has left behind: first its group, then what has left that, by the mark that it inherited."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get(MARK) == self.mark:
                    process.kill()
