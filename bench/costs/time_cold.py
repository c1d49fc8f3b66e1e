"""What is paid before a step is fast, and the memory that it needs: one method in a process of its own, caches empty.

The same jobs and events as `bench.costs.time_block`, with one task. The memory is measured after the times, in steps
that nothing times; the step's work is counted last.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from equivalence.protocol import peak_memory, serve

STEPS = 3  # for the time of a step that is warm, and for the memory of some more


def start(job: dict[str, Any]) -> Callable[[str], dict[str, Any]]:
    """Import and configure the framework, which is timed as well."""
    began = time.perf_counter()
    import impls

    bridge = impls.load(job["framework"])
    bridge.configure(threads=len(job["cores"]), double=job["dtype"] == "float64")
    imported = time.perf_counter() - began

    from bench.costs.cells import Cell
    from bench.costs.expected_steps import Expected, off
    from bench.costs.prepare import Unsupported, prepare

    expected = Expected(job["expected"])
    place = {name: job[name] for name in ("framework", "mode", "workload", "dtype", "device")}

    def measure(method: str) -> dict[str, Any]:
        try:
            prepared = prepare(Cell(method, **place))
        except Unsupported as reason:
            return {"status": "unsupported", "reason": str(reason)}
        forget_peak()
        held = peak_memory()
        tracing = seconds(lambda: prepared.step)
        results: list[Any] = []
        first = seconds(lambda: results.append(prepared.run()))
        units = expected.units(method, prepared.numpy(results.pop()), job["dtype"])
        if complaint := off(method, units, job["dtype"]):
            return {"status": "wrong", "reason": complaint}
        step = min(seconds(prepared.run) for _ in range(STEPS))
        times = {"imported": imported, "traced": tracing, "compiled": max(0.0, first - step), "step": step}
        forget_peak()
        for _ in range(STEPS):
            prepared.run()
        memory = {"held": held, "memory": peak_memory(), "device_memory": bridge.device_memory(job["device"])}
        return {"status": "ok", **times, **memory, **works(Cell(method, **place))}

    return measure


def works(cell: Any) -> dict[str, float]:
    """The step's multiply-adds and the least there could be, in plain steps; nothing where no graph holds the step."""
    from bench.costs.passes import counted, floor

    try:
        return {"counted": counted(cell), "least": floor(cell)}
    except ValueError:
        return {}


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def forget_peak() -> None:
    """From here on, `peak_memory` counts anew where the system can do that (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


if __name__ == "__main__":
    serve(start)
