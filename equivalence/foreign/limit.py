"""A time limit for Python code. A call that hangs in compiled code is ended with its process, by the run.

It is one of processor time, so that a busy machine changes no verdict; what waits instead is ended as well, later.
"""

import contextlib
import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from types import FrameType

from equivalence.clock import Spent

AGAIN = 0.5  # seconds to the next look, and to the next try: an exception in a destructor goes no further
PATIENCE = 2  # times the limit may be spent idle


class Overtime(BaseException):
    """Not an Exception: code that catches everything would go on. Says how long it took."""


def overtime(processor: float, idle: float, seconds: float) -> str:
    """What is over its limit, in words; nothing where neither is."""
    if processor > seconds:
        return f"took longer than {seconds:g} s of processor time"
    return f"took longer than {PATIENCE * seconds:g} s, waiting" if idle > PATIENCE * seconds else ""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise Overtime in the block when it takes longer. Within another limit, that one's clock goes on."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    began = time.process_time()
    idle: list[Spent] = []  # from the first look on, which most calls do not live to see: then it costs nothing

    def look(number: int, frame: FrameType | None) -> None:
        if not idle:
            idle.append(Spent(os.getpid()))
        said = overtime(time.process_time() - began, idle[0].idle(), seconds)
        inside = frame is not None and frame.f_code.co_filename == weakref.__file__  # a callback of the interpreter's
        if said and not inside:
            raise Overtime(said)

    before = signal.signal(signal.SIGALRM, look)
    outer, _ = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if outer:
            signal.setitimer(signal.ITIMER_REAL, min(outer, AGAIN), AGAIN)
