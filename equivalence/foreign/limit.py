"""A time limit for Python code. A call that hangs in compiled code is ended with its process, by the run."""

import contextlib
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from types import FrameType

AGAIN = 0.5  # seconds to the next try: an exception in a destructor goes no further


class Overtime(BaseException):
    """Not an Exception: code that catches everything would go on."""


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise Overtime in the block when it takes longer. Within another limit, that one's clock goes on afterwards."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(number: int, frame: FrameType | None) -> None:
        if frame is None or frame.f_code.co_filename != weakref.__file__:  # nor one in a callback of the interpreter's
            raise Overtime

    before = signal.signal(signal.SIGALRM, late)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    began = time.monotonic()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - began), 1e-3), AGAIN)
