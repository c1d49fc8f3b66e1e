"""A worker that times one framework, mode and workload, method after method, each beside the plain step.

A job on standard input (`bench.cells.job`), events on standard output (`equivalence.protocol`). What is wrong gets no
time. Imports nothing that computes before the job has set the environment.
"""

import functools
import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from equivalence.protocol import serve

SAMPLE_SECONDS = 0.02  # of work in a sample: the clock's and the interpreter's jitter are far below
SAMPLES = {"quick": 4, "full": 12}  # of either step; an even number, for whole blocks
WARM_UP = 3  # calls after the first; the fastest of them says how many make a sample


@dataclass(frozen=True)
class Ready:
    """A step that has run once: how long that took, compilation included, and how wrong its result is."""

    run: Callable[[], Any]
    batch: int
    first_call: float
    units: float


def start(job: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    """Import and configure the framework; what comes back times one method."""
    import impls
    from bench.cells import TIMED, Cell
    from bench.expected import Expected
    from bench.prepare import prepare
    from equivalence.judge import AGREEMENT_UNITS

    threads = len(job["cores"])
    impls.load(job["framework"]).configure(threads=threads, double=job["dtype"] == "float64")
    expected = Expected(job["expected"])
    place = {name: job[name] for name in ("framework", "mode", "workload", "dtype", "device")}
    samples = SAMPLES["quick" if job["quick"] else "full"]

    def ready(method: str) -> Ready:
        prepared = prepare(Cell(method, **place))
        began = time.perf_counter()
        result = prepared.run()
        seconds = time.perf_counter() - began
        units = expected.units(method, prepared.numpy(result), job["dtype"])
        return Ready(prepared.run, prepared.batch, seconds, units)

    plain = functools.cache(lambda: ready("plain"))

    def measure(method: str) -> dict[str, Any]:
        a = plain()
        b = a if method == "plain" else ready(method)
        facts = {"error": b.units, "batch": a.batch, "threads": threads, "floor": float(TIMED[method].floor)}
        for name, step in (("plain", a), (method, b)):
            if not step.units <= AGREEMENT_UNITS:  # NaN is wrong too
                off = f"{step.units:.3g} rounding units x condition, at most {AGREEMENT_UNITS}"
                return {"status": "wrong", "reason": f"the {name} step is off by {off}", **facts}
        plain_times, times = interleaved(a.run, b.run, samples)
        return {"status": "ok", **facts, "first_call": b.first_call, "steps": times, "plain": plain_times}

    return measure


def interleaved(a: Callable[[], Any], b: Callable[[], Any], samples: int) -> tuple[list[float], list[float]]:
    """Seconds a step of both, in blocks ABBA and BAAB by turns: neither a drift nor a place in the block favours one.

    The i-th samples of the two lists were taken one right after the other.
    """
    loops = {a: warm(a), b: warm(b)}
    times: tuple[list[float], list[float]] = ([], [])
    gc.collect()
    gc.disable()
    try:
        for pair in range(samples):
            order = (0, 1) if pair % 4 in (0, 3) else (1, 0)
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


if __name__ == "__main__":
    serve(start)
