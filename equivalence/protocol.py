"""How a worker process talks to the run that started it: a job on standard input, events as JSON lines on output.

A job is {"framework", "device", "cores", "tasks": [[number, task], ...], ...}. Events are {"event": "ready"}, then
for each task {"event": "start", "number"} and {"event": "done", "number", "status", "result" | "error", "seconds",
"memory"}, the status ok, failed or oom (out of memory); between them perhaps {"event": "told", "number", "text",
"lasting"}, where a task says how far it is. A worker that dies leaves a start without a done: that task has
failed, the others are run by a new worker.

The job has a "token", a secret of the run and this worker, and so has each event: the code that is measured runs in
the same process, and what it writes to the same output, on purpose or not, is no event.

Imports the standard library alone: the environment must be set before anything that computes is imported.
"""

import ctypes
import json
import math
import os
import platform
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

LONGEST = 500  # characters of an error: some libraries print whole graphs
OUT_OF_MEMORY = re.compile("out of memory|RESOURCE_EXHAUSTED|OOM when allocating|can't allocate memory", re.IGNORECASE)
PARENT_DEATH_SIGNAL = 1  # Linux's PR_SET_PDEATHSIG
Task = Any
Result = dict[str, Any]


class Complaint(Exception):
    """An error whose message is a whole sentence: neither its type nor the line that raised it says any more."""


class NotCovered(Complaint):
    """What was asked for is not part of what an implementation offers: it says so itself, and does not fail by it."""


def describe_error(error: Exception) -> str:
    """An error in one line."""
    return str(error) if isinstance(error, Complaint) else f"{type(error).__name__}: {error}"


def blame(error: Exception) -> str:
    """Whether memory ran out, or the task failed. Only NumPy raises Python's own error, others say it in words."""
    return "oom" if isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error)) else "failed"


def serve(start: Callable[..., Callable[[Task], Result]], tells: bool = False) -> None:
    """Read the job, `start` it (import the framework, configure it), then measure task after task.

    Where it `tells`, start takes a function as well, tell(text, lasting=False), which a task may call meanwhile: with
    how far it is, or with what is to be read later, too.

    An exception in a task is its error, the last lines of it the reason; it does not end the worker.
    """
    end_with_parent()
    events = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print is not an event
    if hasattr(os, "register_at_fork"):  # else the run would wait for a child that has nothing to say
        os.register_at_fork(after_in_child=events.close)
    job = json.load(sys.stdin)
    token = job.pop("token", "")
    set_environment(job)

    def say(**event: Any) -> None:
        line = json.dumps({"token": token, **event})
        try:
            events.write(f"\n{line}\n")  # after whatever else was written there without an end of line
        except OSError as error:
            os.write(2, f"the way to the run was closed by what was measured: {error.strerror}".encode())
            os._exit(1)

    number = -1

    def tell(text: str, lasting: bool = False) -> None:
        say(event="told", number=number, text=text, lasting=lasting)

    measure = start(job, tell) if tells else start(job)
    say(event="ready")
    for number, task in job["tasks"]:
        say(event="start", number=number)
        began = time.perf_counter()
        try:
            found: dict[str, Any] = {"status": "ok", "result": measure(task)}
        except Complaint as error:
            found = {"status": "failed", "error": describe_error(error)[:LONGEST]}
        except Exception as error:  # anything that a measured implementation may raise
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"({os.path.basename(place.filename)}:{place.lineno})"
            found = {"status": blame(error), "error": f"{describe_error(error)[:LONGEST]} {where}"}
        say(event="done", number=number, seconds=time.perf_counter() - began, memory=peak_memory(), **found)


def end_with_parent() -> None:
    """A worker whose run is gone would take time from the next one: it ends with the process that started it."""
    parent = os.getppid()
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before the system knew
            os._exit(1)
        return

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()


def peak_memory() -> float:
    """The most memory that this process has held so far, in MiB; NaN where the system does not say."""
    try:
        with open("/proc/self/status") as file:  # Linux: what `getrusage` says cannot be set back
            return next(float(line.split()[1]) / 2**10 for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return math.nan
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / 2**20 if sys.platform == "darwin" else size / 2**10  # bytes there, KiB elsewhere


def set_environment(job: dict[str, Any]) -> None:
    """Cores and thread pools, before the first import of a numerical library: XLA follows the affinity alone."""
    cores = job["cores"]
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    threads = str(len(cores))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = threads
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if job["device"] == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ.update(job.get("environment", {}))
