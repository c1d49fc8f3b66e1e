"""Files are replaced, never cut short: what was there stays until what takes its place is complete and on the disk."""

import glob
import os
from collections.abc import Callable
from pathlib import Path

import psutil


def replace(path: Path, content: str | bytes) -> None:
    """Give a file this content, or leave it as it was. What no text has, of a file's name for instance, is escaped."""
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    replace_by(path, lambda unfinished: unfinished.write_bytes(data))


def replace_by(path: Path, write: Callable[[Path], object]) -> None:
    """Give a file the content that `write` puts into a neighbour of it, or leave it as it was. Folders are made.

    Raises:
        OSError: it cannot be written, the disk is full for instance; the neighbour is gone then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    clear(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(unfinished)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def clear(path: Path) -> None:
    """Remove what processes that were killed on this machine while they wrote the file have left beside it."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*"):
        writer = left.name.rpartition(".")[2]
        if writer.isascii() and writer.isdigit() and not psutil.pid_exists(int(writer)):
            left.unlink(missing_ok=True)
