"""Every command ends in order: in words, with an exit status that a script can use, never with a traceback of ours."""

import errno
import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from bench.commands import arguments

INTERRUPTED = 130  # exit status, as of a program that Ctrl-C ends
OUTSIDE = (  # what the system refuses, whatever the code: a full disk, a folder that is read-only or someone else's
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENAMETOOLONG,
)  # fmt: skip


def end_in_order(command: Callable[..., None]) -> Callable[..., None]:
    """The command, ended by Ctrl-C with 130, by the system with a sentence and 2, by a reader who has enough with 0."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            try:
                command(*args, **kwargs)
            finally:
                sys.stdout.flush()
        except KeyboardInterrupt:
            arguments.complain("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # `list | head`: nobody reads on, which is no fault
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except OSError as error:
            if error.errno not in OUTSIDE:
                raise
            place = f"{error.filename}: " if error.filename else ""
            raise arguments.refuse(f"{place}{error.strerror}. What was written before stays as it is") from None

    return run
