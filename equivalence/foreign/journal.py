"""Which function each process is in, written down as it is entered: a process that died can be asked what it was in.

And how often each was called, and how often its own counterpart in the reference was entered meanwhile: a function that
falls back on the reference is measured with it, and is to say so.
"""

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil

from impls.checks import ENTERED

CALLS = ".calls"  # ends the name of the file with the counts


class Journal:
    """This process's files in the folder: the name of the function that is running, if any, and counts by function."""

    def __init__(self, folder: str):
        path = Path(folder) / str(os.getpid())
        self.file = os.open(path, os.O_CREAT | os.O_WRONLY)  # until the process ends
        self.counted = os.open(path.with_suffix(CALLS), os.O_CREAT | os.O_WRONLY)
        self.running = ""
        self.calls: Counter[str] = Counter()
        self.in_reference: Counter[str] = Counter()

    def write(self, name: str) -> None:
        self.running = name
        os.ftruncate(self.file, 0)
        os.lseek(self.file, 0, os.SEEK_SET)
        os.write(self.file, name.encode())

    @contextlib.contextmanager
    def entered(self, name: str) -> Iterator[None]:
        outer, methods = self.running, set[str]()
        self.write(name)
        token = ENTERED.set(methods)
        try:
            yield
        finally:
            ENTERED.reset(token)
            self.count(name, name in methods)
            self.write(outer)

    def count(self, name: str, in_reference: bool) -> None:
        """Count a call. Counts only grow, so that what is written always covers what was."""
        self.calls[name] += 1
        self.in_reference[name] += in_reference
        counts = {name: [calls, self.in_reference[name]] for name, calls in self.calls.items()}
        os.lseek(self.counted, 0, os.SEEK_SET)
        os.write(self.counted, json.dumps(counts).encode())


def ended_in(folder: str) -> dict[int, str]:
    """By process that is gone, the function that it was in."""
    files = [file for file in Path(folder).iterdir() if file.name.isdigit()]  # foreign code can write there too
    names = {int(file.name): file.read_text(errors="replace") for file in files}
    return {process: name for process, name in names.items() if name and not psutil.pid_exists(process)}


def counted(folder: str) -> dict[str, tuple[int, int]]:
    """By function how often it was called, and in how many of these calls the reference was entered."""
    calls: Counter[str] = Counter()
    in_reference: Counter[str] = Counter()
    for file in Path(folder).glob(f"*{CALLS}"):
        with contextlib.suppress(ValueError, TypeError):  # foreign code can write there too
            for name, (more, inside) in json.loads(file.read_text()).items():
                calls[name] += more
                in_reference[name] += inside
    return {name: (calls[name], in_reference[name]) for name in calls}
