"""What a process has done since a moment: neither number grows because the machine is busy with something else."""

import contextlib
import os
import time

import psutil

SLOWDOWN = 10  # where the system does not say how long a process was kept waiting: by how much a machine may be


class Spent:
    """Seconds of processor time that a process has used since, and seconds in which it wanted none."""

    def __init__(self, process: int):
        self.process = psutil.Process(process)
        self.began, self.used = time.monotonic(), self.total()
        self.kept, self.waits = 0.0, queued(process)

    def total(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system

    def processor(self) -> float:
        return self.total() - self.used

    def idle(self) -> float:
        """Time that passed, less what it computed, and less what it waited for a processor to compute on."""
        left = time.monotonic() - self.began - self.processor()
        if not self.waits:
            return left / SLOWDOWN
        now = queued(self.process.pid)
        self.kept += sum(max(wait - self.waits.get(thread, 0.0), 0.0) for thread, wait in now.items())
        self.waits = now or self.waits
        return left - self.kept


def queued(process: int) -> dict[str, float]:
    """Seconds that each thread of a process has waited for a processor; nothing where the system does not say."""
    found = {}
    with contextlib.suppress(OSError):  # not Linux, or the process has just ended
        for thread in os.listdir(f"/proc/{process}/task"):
            with (
                contextlib.suppress(OSError, ValueError, IndexError),
                open(f"/proc/{process}/task/{thread}/schedstat", encoding="ascii") as file,
            ):
                found[thread] = int(file.read().split()[1]) / 1e9
    return found
