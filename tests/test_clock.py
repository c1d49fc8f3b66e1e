"""Processor time and idle time: what a busy machine does to a process is in neither."""

import os
import subprocess
import sys
import threading
import time

import pytest

from equivalence import clock
from equivalence.clock import Spent


def compute(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_computing_is_processor_time_and_waiting_is_idle():
    spent = Spent(os.getpid())
    compute(0.2)
    assert spent.processor() >= 0.15  # the system counts in hundredths
    assert spent.idle() < 0.15
    threading.Event().wait(0.3)
    assert spent.idle() > 0.2


def test_waiting_for_a_processor_is_not_idle():
    """Beside as many others as make it wait for as long as it computes, all on one core."""
    if not clock.queued(os.getpid()):
        pytest.skip("this system does not say how long a process waited for a processor")
    core = min(os.sched_getaffinity(0))
    busy = f"import os; os.sched_setaffinity(0, [{core}])\nwhile True: pass"
    watched = (
        f"import os, time; os.sched_setaffinity(0, [{core}])\n"
        "from equivalence.clock import Spent\n"
        "spent, began = Spent(os.getpid()), time.monotonic()\n"
        "while time.monotonic() - began < 1: pass\n"
        "print(spent.processor(), spent.idle())"
    )
    others = [subprocess.Popen([sys.executable, "-c", busy]) for _ in range(3)]
    try:
        done = subprocess.run([sys.executable, "-c", watched], capture_output=True, text=True, check=True)
    finally:
        for other in others:
            other.kill()
            other.wait()
    processor, idle = map(float, done.stdout.split())
    assert processor < 0.6, "it was never kept waiting"
    assert idle < 0.2


def test_where_the_system_does_not_say_a_wait_is_taken_for_a_tenth(monkeypatch):
    monkeypatch.setattr(clock, "queued", lambda process: {})
    spent = Spent(os.getpid())
    threading.Event().wait(0.3)
    assert 0.02 < spent.idle() < 0.3
