"""Files are replaced, never cut short: what was there stays until what takes its place is complete and on the disk."""

import os
from collections.abc import Callable
from pathlib import Path


def replace(path: Path, content: str | bytes) -> None:
    """Give a file this content, or leave it as it was."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    replace_by(path, lambda unfinished: unfinished.write_bytes(data))


def replace_by(path: Path, write: Callable[[Path], object]) -> None:
    """Give a file the content that `write` puts into a neighbour of it, or leave it as it was.

    Raises:
        OSError: it cannot be written, the disk is full for instance; the neighbour is gone then.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(unfinished)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
