"""What functions do that a run must hear of, written down in a folder as it happens, since a process may die.

Which function a process is in, written down as it is entered; which have given a result; what each printed first.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

PRINTED, CALLED = "printed-", "called-"


class Journal:
    """This process's file in the folder; it holds the name of the function that is running, if any."""

    def __init__(self, folder: str):
        self.folder = Path(folder)
        self.file = os.open(Path(folder) / str(os.getpid()), os.O_CREAT | os.O_WRONLY)  # until the process ends
        self.running = ""
        self.said: set[str] = set()

    def write(self, name: str) -> None:
        self.running = name
        os.ftruncate(self.file, 0)
        os.lseek(self.file, 0, os.SEEK_SET)
        os.write(self.file, name.encode())

    @contextlib.contextmanager
    def entered(self, name: str) -> Iterator[None]:
        outer = self.running
        self.write(name)
        try:
            yield
        finally:
            self.write(outer)

    def printed(self, name: str, text: str) -> None:
        """Keep what a function printed, if it is the first that any process hears of it."""
        self.say(f"{PRINTED}{name}", text)

    def called(self, name: str) -> None:
        """A function has given a result that is an array of the right shape."""
        self.say(f"{CALLED}{name}")

    def say(self, file_name: str, text: str = "") -> None:
        if file_name in self.said:
            return
        self.said.add(file_name)
        with contextlib.suppress(FileExistsError), open(self.folder / file_name, "x", encoding="utf-8") as file:
            file.write(text)


def printed(folder: str) -> dict[str, str]:
    """By function, what it printed first."""
    return heard(folder, PRINTED)


def called(folder: str) -> list[str]:
    """The functions that have given a result."""
    return list(heard(folder, CALLED))


def heard(folder: str, what: str) -> dict[str, str]:
    files = sorted(Path(folder).glob(f"{what}*"))
    return {file.name.removeprefix(what): file.read_text(encoding="utf-8") for file in files}


def ended_in(folder: str) -> dict[int, str]:
    """By process that is gone, the function that it was in."""
    names = {int(file.name): file.read_text() for file in Path(folder).iterdir() if file.name.isdigit()}
    return {process: name for process, name in names.items() if name and not psutil.pid_exists(process)}
