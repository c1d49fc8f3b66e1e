"""What functions do that a run must hear of, written down in a folder as it happens, since a process may die.

Which function a process is in, written down as it is entered; which have given a result; what each printed first. And
how often each was called, and how often its own counterpart in the reference was entered meanwhile: a function that
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

PRINTED, NOTED, CALLED = "printed-", "noted-", "called-"
CALLS = ".calls"  # ends the name of the file with the counts


class Journal:
    """This process's files in the folder: the name of the function that is running, if any, and counts by function."""

    def __init__(self, folder: str):
        self.folder = Path(folder)
        path = self.folder / str(os.getpid())
        self.file = os.open(path, os.O_CREAT | os.O_WRONLY)  # until the process ends
        self.counted = os.open(path.with_suffix(CALLS), os.O_CREAT | os.O_WRONLY)
        self.running = ""
        self.calls: Counter[str] = Counter()
        self.in_reference: Counter[str] = Counter()
        self.said: set[str] = set()

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

    def printed(self, name: str, text: str) -> None:
        """Keep what a function printed, if it is the first that any process hears of it."""
        self.say(f"{PRINTED}{name}", text)

    def noted(self, name: str, text: str) -> None:
        """Keep what is no mistake of a function, and should be known."""
        self.say(f"{NOTED}{name}", text)

    def called(self, name: str) -> None:
        """A function has given a result that is an array of the right shape."""
        self.say(f"{CALLED}{name}")

    def say(self, file_name: str, text: str = "") -> None:
        if file_name in self.said:
            return
        self.said.add(file_name)
        with contextlib.suppress(FileExistsError), open(self.folder / file_name, "x", encoding="utf-8") as file:
            file.write(text)

    def count(self, name: str, in_reference: bool) -> None:
        """Count a call. Counts only grow, so that what is written always covers what was."""
        self.calls[name] += 1
        self.in_reference[name] += in_reference
        counts = {name: [calls, self.in_reference[name]] for name, calls in self.calls.items()}
        os.lseek(self.counted, 0, os.SEEK_SET)
        os.write(self.counted, json.dumps(counts).encode())


def printed(folder: str) -> dict[str, str]:
    """Map each function to what it printed first."""
    return heard(folder, PRINTED)


def noted(folder: str) -> dict[str, str]:
    """Map functions to what should be known of them."""
    return heard(folder, NOTED)


def called(folder: str) -> list[str]:
    """The functions that have given a result."""
    return list(heard(folder, CALLED))


def heard(folder: str, what: str) -> dict[str, str]:
    files = sorted(Path(folder).glob(f"{what}*"))
    return {file.name.removeprefix(what): file.read_text(encoding="utf-8") for file in files}


def ended_in(folder: str) -> dict[int, str]:
    """Map each process that is gone to the function that it was in."""
    files = [file for file in Path(folder).iterdir() if file.name.isdigit()]  # foreign code can write there too
    names = {int(file.name): file.read_text(errors="replace") for file in files}
    return {process: name for process, name in names.items() if name and not psutil.pid_exists(process)}


def counted(folder: str) -> dict[str, tuple[int, int]]:
    """Map each function to how often it was called, and in how many of these calls the reference was entered."""
    calls: Counter[str] = Counter()
    in_reference: Counter[str] = Counter()
    for file in Path(folder).glob(f"*{CALLS}"):
        with contextlib.suppress(ValueError, TypeError):  # foreign code can write there too
            for name, (more, inside) in json.loads(file.read_text()).items():
                calls[name] += more
                in_reference[name] += inside
    return {name: (calls[name], in_reference[name]) for name in calls}
