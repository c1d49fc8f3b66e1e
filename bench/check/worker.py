"""Look at a user's own model, topic by topic, in one process: `python -m bench.check.worker`, a job on its input.

A task is ["topic", name]. The file is imported by the first, in the worker: what it prints goes nowhere, and what is
wrong with it is said in words. Topics of one worker share the model; in float64 they are not timed.
"""

import functools
from collections.abc import Callable
from typing import Any

from equivalence.protocol import serve

DOUBLE = ("derivatives", "radius", "curvature", "places")
AS_IT_IS = ("samples", "precision", "cost", "lines")


def start(job: dict[str, Any]) -> Callable[[list[Any]], dict[str, Any]]:
    """Import the framework; the model is loaded by the first task, so that its fault is that task's."""
    import impls

    bridge = impls.load(job["framework"])
    bridge.configure(threads=len(job["cores"]), double=job["double"])
    methods = impls.methods(job["framework"])
    from bench.check.topics import Topics
    from equivalence.own_models import load

    @functools.cache
    def topics() -> Topics:
        own = load(job["framework"], job["path"], double=job["double"])
        return Topics(bridge, methods, own, quick=job["quick"], modes=job["modes"])

    def measure(task: list[Any]) -> dict[str, Any]:
        return topics().look(task[1])

    return measure


if __name__ == "__main__":
    serve(start)
