"""Measure entries of one framework in one process: `python -m equivalence.atlas.worker`, a job on its input.

A task is ["entry", name, {mode: [compositions]}].
"""

import importlib
from collections.abc import Callable
from typing import Any

from equivalence.protocol import serve


def start(job: dict[str, Any]) -> Callable[[list[Any]], dict[str, Any]]:
    """Import the framework; returns what measures a task."""
    atlas = importlib.import_module("equivalence.atlas")  # only now: the environment had to be set before
    measuring = importlib.import_module("equivalence.atlas.measure")
    framework = job["framework"]
    transforms = importlib.import_module(f"equivalence.atlas.{framework}.transforms")
    transforms.configure(threads=len(job["cores"]))
    known = atlas.entries(framework)

    def measure(task: list[Any]) -> dict[str, Any]:
        _, name, asked = task
        return measuring.measure(known[name], transforms, asked)

    return measure


if __name__ == "__main__":
    serve(start)
