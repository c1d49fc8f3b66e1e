"""Several loads side by side, heard in one thread, and ended in good order by Ctrl-C."""

import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from bench.running.job import Event, Outcome

Load = TypeVar("Load")
STOPPING = (signal.SIGINT, signal.SIGTERM)  # by hand; by a batch system


def run_side_by_side(
    loads: list[Load],
    tasks: int,
    work: Callable[[Load, threading.Event], Iterator[Event]],
    width: int,
    say: Callable[[Event], None],
) -> None:
    """`work` on the loads, `width` at a time, until so many tasks have an Outcome; `say` hears every event.

    `work` must give the Outcome of every task soon after the event that it is handed is set, which Ctrl-C does.
    """
    heard: queue.Queue[Any] = queue.Queue()
    with stopping() as stop, ThreadPoolExecutor(max(width, 1)) as pool:

        def carry(load: Load) -> None:
            try:
                for event in work(load, stop):
                    heard.put(event)
            except BaseException as error:
                heard.put(error)

        for load in loads:
            pool.submit(carry, load)
        try:
            while tasks:
                event = heard.get()
                if isinstance(event, BaseException):
                    raise event
                tasks -= isinstance(event, Outcome)
                say(event)
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


@contextlib.contextmanager
def stopping() -> Iterator[threading.Event]:
    """Set by Ctrl-C, which raises KeyboardInterrupt at the end, not in the middle of a record; a second one at once."""
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in STOPPING}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def hear(number: int, frame: Any) -> None:
        stop.set()
        restore()

    for number in STOPPING:
        signal.signal(number, hear)
    try:
        yield stop
    finally:
        restore()
    if stop.is_set():
        raise KeyboardInterrupt
