"""Measure claims and agreement in one framework, in one process: `python -m equivalence.worker`, a job on its input.

Units are ["claim", id, case, mistake or ""], ["agreement", case, dtype, [usages]] and ["own losses"].
"""

import importlib
from collections.abc import Callable
from typing import Any

from equivalence.protocol import serve


def start(job: dict[str, Any]) -> Callable[[list[Any]], dict[str, Any]]:
    """Import the framework, configured for proofs; returns what measures a unit."""
    impls = importlib.import_module("impls")  # only now: the environment had to be set before NumPy comes in
    measurers = importlib.import_module("equivalence.units").MEASURERS
    bridge = impls.load(job["framework"])
    bridge.configure(threads=len(job["cores"]), double=True)
    methods = impls.methods(job["framework"])

    def measure(unit: list[Any]) -> dict[str, Any]:
        kind, *arguments = unit
        return measurers[kind](bridge, methods, job["device"], *arguments)

    return measure


if __name__ == "__main__":
    serve(start)
