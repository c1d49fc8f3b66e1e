"""A block: one process that times training steps of one framework, mode and workload, each beside the same plain step.

A job on standard input (`bench.costs.cells.job`), events on standard output (`equivalence.protocol`). What is wrong
gets no time. Imports nothing that computes before the job has set the environment.
"""

import functools
import gc
import math
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from equivalence.protocol import serve

SAMPLE_SECONDS = 0.02  # of work in a sample: the clock's and the interpreter's jitter are far below
SAMPLES = {"quick": 4, "full": 12}  # of either step, in quadruples ABBA or BAAB
LONGEST = 10.0  # seconds of sampling a task; slow steps are sampled less often, a quadruple at least twice
WARM_UP = 3  # calls after the first; the fastest of them says how many make a sample


@dataclass(frozen=True)
class Ready:
    """A step that has run once, and how wrong its result was."""

    run: Callable[[], Any]
    batch: int
    units: float


def start(job: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    """Import and configure the framework; what comes back times one method beside the plain step."""
    import impls
    from bench.costs.cells import AGAIN, PRODUCTS, SLOWED, Cell
    from bench.costs.expected_steps import Expected, off
    from bench.costs.passes import products
    from bench.costs.prepare import Unsupported, prepare

    threads = len(job["cores"])
    impls.load(job["framework"]).configure(threads=threads, double=job["dtype"] == "float64")
    expected = Expected(job["expected"])
    place = {name: job[name] for name in ("framework", "mode", "workload", "dtype", "device")}
    samples = SAMPLES["quick" if job["quick"] else "full"]

    def ready(method: str) -> Ready:
        if method == PRODUCTS:  # they have no result
            return Ready(products(Cell("plain", **place)), plain().batch, 0.0)
        prepared = prepare(Cell(method, **place))
        return Ready(prepared.run, prepared.batch, expected.units(method, prepared.numpy(prepared.run()), job["dtype"]))

    plain = functools.cache(lambda: ready("plain"))

    def measure(method: str) -> dict[str, Any]:
        a = plain()
        try:
            b = ready("plain" if method in (AGAIN, SLOWED) else method)  # plain beside itself: built a second time
        except Unsupported as reason:
            return {"status": "unsupported", "reason": str(reason)}
        facts = {"error": b.units, "batch": a.batch, "threads": threads}
        for name, step in (("plain", a), (method, a if method == PRODUCTS else b)):
            if complaint := off(name, step.units, job["dtype"]):
                return {"status": "wrong", "reason": complaint, **facts}
        timed = slowed(b.run) if method == SLOWED else b.run
        first = random.Random(f"{job['block']} {method}").randrange(2)
        with Neighbours() as neighbours:
            plain_times, times = interleaved(a.run, timed, samples, first)
        return {"status": "ok", **facts, "steps": times, "base": plain_times, "foreign": neighbours.cores}

    return measure


def slowed(step: Callable[[], Any], by: float = 0.1) -> Callable[[], Any]:
    """The step, and a tenth of its time in idle work: a difference that the measurement must see."""

    def run() -> Any:
        began = time.perf_counter()
        result = step()
        end = time.perf_counter() + by * (time.perf_counter() - began)
        while time.perf_counter() < end:
            pass
        return result

    return run


def interleaved(
    a: Callable[[], Any], b: Callable[[], Any], samples: int, first: int = 0
) -> tuple[list[float], list[float]]:
    """Seconds a step of both, in quadruples ABBA and BAAB by turns: neither a drift nor a place in it favours one.

    `first` even: ABBA comes first. The i-th samples of the two lists were taken one right after the other.
    """
    loops = {a: warm(a), b: warm(b)}
    times: tuple[list[float], list[float]] = ([], [])
    gc.collect()
    gc.disable()
    began = time.perf_counter()
    try:
        for pair in range(samples):
            if pair in range(4, samples, 2) and time.perf_counter() - began > LONGEST:
                break
            order = (0, 1) if (pair + 2 * first) % 4 in (0, 3) else (1, 0)
            for which in order:
                step = (a, b)[which]
                times[which].append(sample(step, loops[step]))
    finally:
        gc.enable()
    return times


def warm(step: Callable[[], Any]) -> int:
    """Run the step a few times; how often it must run to fill a sample."""
    fastest = min(sample(step, 1) for _ in range(WARM_UP))
    return max(1, math.ceil(SAMPLE_SECONDS / fastest))


def sample(step: Callable[[], Any], loops: int) -> float:
    """Seconds a step."""
    began = time.perf_counter()
    for _ in range(loops):
        step()
    return (time.perf_counter() - began) / loops


class Neighbours:
    """How many cores' worth of time the rest of the machine took meanwhile; NaN where the system does not say."""

    cores = math.nan

    def __enter__(self) -> "Neighbours":
        self.began, self.busy = time.perf_counter(), busy()
        return self

    def __exit__(self, *exception: object) -> None:
        self.cores = (busy() - self.busy) / (time.perf_counter() - self.began)


def busy() -> float:
    """Seconds of all cores since the machine was started, less idle ones and those of this process."""
    try:
        with open("/proc/stat") as file:
            user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    except (OSError, ValueError):
        return math.nan
    ticks = user + nice + system + irq + softirq + steal
    return ticks / os.sysconf("SC_CLK_TCK") - time.process_time()


if __name__ == "__main__":
    serve(start)
