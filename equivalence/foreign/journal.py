"""Which function each process is in, written down as it is entered: a process that died can be asked what it was in."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import psutil


class Journal:
    """This process's file in the folder; it holds the name of the function that is running, if any."""

    def __init__(self, folder: str):
        self.file = os.open(Path(folder) / str(os.getpid()), os.O_CREAT | os.O_WRONLY)  # until the process ends
        self.running = ""

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


def ended_in(folder: str) -> dict[int, str]:
    """By process that is gone, the function that it was in."""
    names = {int(file.name): file.read_text() for file in Path(folder).iterdir()}
    return {process: name for process, name in names.items() if name and not psutil.pid_exists(process)}
