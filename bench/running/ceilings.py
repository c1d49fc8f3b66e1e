"""Sizes at which something took too long or too much memory: what is larger is not tried."""

import math

from bench.running.job import Job, Outcome

BEYOND = ("timeout", "oom")


class Ceilings:
    """What is known of the tasks of some jobs; a task without a size is always tried."""

    def __init__(self) -> None:
        self.reached: dict[str, tuple[float, str]] = {}  # by name: the least size that was too much, and the status

    def note(self, job: Job, number: int, outcome: Outcome) -> None:
        if job.sizes and outcome.status in BEYOND:
            name, size = job.sizes[number]
            least, _ = self.reached.get(name, (math.inf, ""))
            if size < least:
                self.reached[name] = size, outcome.status

    def reason(self, job: Job, number: int) -> str:
        """Why a task is not worth trying; empty where it is."""
        name, size = job.sizes[number] if job.sizes else ("", -math.inf)
        least, status = self.reached.get(name, (math.inf, ""))
        return f"{status} at size {least:g} already, this is size {size:g}" if size > least else ""
