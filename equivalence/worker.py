"""Measure claims and agreement in one framework, in one process: `python -m equivalence.worker`, a job on its input.

Tasks are ["claim", id, case, mistake or ""] and ["agreement", [cases], dtype, [usages], mistake or ""];
of someone else's implementation also ["contents", path, seconds], ["difference", function, case, dtype, [usages]],
["alone", function, task], where all others are the reference's, and ["resemblance", function, [[check, measurement]]].
"""

import contextlib
import gc
import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from equivalence.protocol import Complaint, serve


def start(job: dict[str, Any]) -> Callable[[list[Any]], dict[str, Any]]:
    """Import the framework, configured for proofs; returns what measures a task."""
    impls = importlib.import_module("impls")  # only now: the environment had to be set before NumPy comes in
    measurers = importlib.import_module("equivalence.tasks").MEASURERS
    with hidden(impls.DESCRIBED[job["framework"]].extras):
        bridge = impls.load(job["framework"])
    bridge.configure(threads=len(job["cores"]), double=True)
    importlib.import_module("equivalence.divided").prepare(bridge)
    methods = impls.methods(job["framework"])
    gc.freeze()  # tracing makes many objects that live on: looking through all of them again and again takes a sixth
    gc.set_threshold(100_000, 50, 100)
    if not job.get("gradients", True):
        bridge = importlib.import_module("equivalence.values_only").without_gradients(bridge)

    def measure(task: list[Any]) -> dict[str, Any]:
        kind, *arguments = task
        return measurers[kind](bridge, methods, job["device"], *arguments)

    if "implementation" not in job:
        return measure
    guard = importlib.import_module("equivalence.foreign.guard")
    offered: dict[str, Any] = {}
    refused: list[Complaint] = []

    def measure_or_tell(task: list[Any]) -> dict[str, Any]:
        if refused:
            raise refused[0]
        return offered if task[0] == "contents" else measure(task)  # what the file has is known by now

    sealed = importlib.import_module("equivalence.foreign.seal").sealed(bridge, measure_or_tell)
    try:
        methods, offered = guard.guarded(methods, bridge, **job["implementation"])
    except Complaint as error:  # about the file: said of each task, since a worker that ends is started again
        refused.append(error)
    return sealed


@contextlib.contextmanager
def hidden(packages: tuple[str, ...]) -> Iterator[None]:
    """In the block these packages are as if not installed: they would take half of the time that a start takes."""
    absent = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


if __name__ == "__main__":
    serve(start)
