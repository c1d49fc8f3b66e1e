"""A block: one process that times a task's arms, each beside the fastest of ours.

A job on standard input (`bench.peers.timing.job`), events on standard output (`equivalence.protocol`). What is wrong
gets no time. Imports nothing that computes before the job has set the environment.
"""

import functools
import random
from collections.abc import Callable
from typing import Any

from equivalence.protocol import serve


def start(job: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    """Import and configure the framework; what comes back times one arm beside ours."""
    import impls
    from bench import peers
    from bench.costs.time_block import SAMPLES, Neighbours, interleaved
    from bench.costs.workloads import build
    from bench.peers.expected_results import known

    framework = job["framework"]
    impls.load(framework).configure(threads=len(job["cores"]), double=False)
    task, case = peers.TASKS[job["task"]], build(job["workload"])
    base, samples = peers.OURS[framework][-1], SAMPLES["quick" if job["quick"] else "full"]

    def ready(name: str) -> tuple[Callable[[], Any], str]:
        arm = peers.build(task, framework, name, case, job["device"])
        result = arm.numpy(arm.run())
        return arm.run, known(task.name, job["workload"], name, arm).complaint(result)

    ours = functools.cache(lambda: ready(base))

    def measure(name: str) -> dict[str, Any]:
        try:
            b, complaint = ready(name)
        except ImportError as missing:
            return {"status": "unsupported", "reason": f"{missing}; see the group peers in pyproject.toml"}
        a, own = ours()
        if complaint or own:
            return {"status": "wrong", "reason": f"{name}: {complaint}" if complaint else f"{base}: {own}"}
        first = random.Random(f"{job['block']} {name}").randrange(2)
        with Neighbours() as neighbours:
            base_times, times = interleaved(a, b, samples, first)
        version = peers.version(name)
        return {"status": "ok", "steps": times, "base": base_times, "foreign": neighbours.cores, "version": version}

    return measure


if __name__ == "__main__":
    serve(start)
