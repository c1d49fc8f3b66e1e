"""What only one run at a time may have: a device to time on, cores, a folder of results.

Locks are the system's: they go with the process that holds them, however it ends. Those of devices and cores lie in the
folder for temporary files, so that every user's runs on the machine meet, provided that they agree on TMPDIR.
"""

import contextlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

ANYONE = 0o666  # another user's run takes the same file
FOREVER = -1.0
LOCK = ".lock"  # in a folder of results
LOOK = 0.5  # seconds between two looks: what is timed meanwhile is not disturbed


class Held(RuntimeError):
    """Someone else has it."""


@contextlib.contextmanager
def device(name: str, wait: float, tell: Callable[[str], None]) -> Iterator[None]:
    """Nothing else is timed on the device meanwhile: cpu, or the first visible of the GPUs.

    Waits for so many seconds, having told for whom; then raises Held.
    """
    number = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    path = shared(name if name == "cpu" else f"{name}-{number}")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held(path, 0.0))
        except Held:
            tell(f"waiting for the device: {name} is being timed on by {holder(path)}")
            try:
                stack.enter_context(held(path, wait))
            except Held as error:
                advice = "Wait longer with --wait SECONDS, or start this run later"
                raise Held(f"the device {name} is still being timed on, after {wait:g} s, {error}. {advice}") from None
        yield


@contextlib.contextmanager
def folder(path: Path) -> Iterator[None]:
    """No other run writes to a folder of results meanwhile; Held, without waiting, where one does.

    Nothing of the lock stays: neither its file nor folders that were made for it and have got nothing else.
    """
    made = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.callback(remove_empty, made)
        try:
            stack.enter_context(held(path / LOCK, 0.0))
        except Held as error:
            raise Held(f"{path} is being written {error}. Wait for its end, or give another folder") from None
        stack.callback(forget, path / LOCK)  # while it is held: whoever comes next makes another
        yield


def forget(lock: Path) -> None:
    with contextlib.suppress(OSError):  # a system that keeps what is open
        lock.unlink()


def remove_empty(folders: list[Path]) -> None:
    """Remove folders, the innermost first, up to one that has something in it."""
    with contextlib.suppress(OSError):
        for each in folders:
            each.rmdir()


@contextlib.contextmanager
def some(count: int, cores: list[int]) -> Iterator[list[int]]:
    """So many of the cores, or all where there are fewer, that nothing else has taken so; waits for them."""
    wanted = min(count, len(cores))
    taken: list[int] = []
    with contextlib.ExitStack() as stack:
        with held(shared("cores"), FOREVER):  # one collects at a time: two halves would wait for each other
            while len(taken) < wanted:
                free = next((core for core in cores if core not in taken and take(stack, core)), None)
                if free is None:
                    time.sleep(LOOK)
                else:
                    taken.append(free)
        yield sorted(taken)


def take(stack: contextlib.ExitStack, core: int) -> bool:
    """Whether the core was free, and now is the stack's."""
    try:
        stack.enter_context(held(shared(f"core-{core}"), 0.0))
    except Held:
        return False
    return True


@contextlib.contextmanager
def held(path: Path, wait: float) -> Iterator[None]:
    """Hold a lock's file, which says who does and since when."""

    def sign(file: int) -> None:
        said = {
            "process": os.getpid(),
            "machine": platform.node(),
            "since": datetime.now(UTC).isoformat("T", "seconds"),
        }
        os.ftruncate(file, 0)
        os.write(file, json.dumps(said).encode())

    lock = FileLock(path, timeout=wait, mode=ANYONE, poll_interval=LOOK, thread_local=False, on_acquired=sign)
    try:
        lock.acquire()
    except Timeout:
        raise Held(f"by {holder(path)}") from None
    try:
        yield
    finally:
        lock.release()


def holder(path: Path) -> str:
    try:
        said = json.loads(path.read_text())
        return f"process {said['process']} on {said['machine']} since {said['since']}"
    except (OSError, ValueError, KeyError):  # it has not signed yet
        return "another process"


def shared(name: str) -> Path:
    return Path(tempfile.gettempdir()) / f"equireg-{name}.lock"
