"""What takes the oracle long and is the same in every run of the same code: kept on disk, taken from there next time.

Each value has a file of its own, whole or not there, whoever else writes it. Files lie in a folder that is named after
the source and the versions that computed them: other code finds an empty folder.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import pickle
import platform
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.places import CACHE
from bench.records import files
from bench.records.source import digest

FOLDER = CACHE / "oracle"
CODES = 3  # of which values are kept: a few branches that someone goes to and fro between
COMPUTING = ("numpy", "scipy")  # packages that the oracle computes with
ORACLE = ("equivalence/*.py", "equivalence/oracle/*.py", "equivalence/calls/*.py", "impls/contract/*.py")


def kept(name: str, compute: Callable[[], Any], sources: Iterable[str] = ORACLE) -> Any:
    """What `compute` gives, from an earlier run of the same source (patterns of paths below the root) if there was one.

    A name has no characters that a file's must not have.
    """
    path = folder(tuple(sources)) / f"{name}.pickle"
    with contextlib.suppress(OSError, EOFError, pickle.UnpicklingError):
        return pickle.loads(path.read_bytes())  # our own file, which nobody else hands over
    found = compute()
    with contextlib.suppress(OSError):  # a folder that cannot be written to, or a full disk, only costs time
        path.parent.mkdir(parents=True, exist_ok=True)
        files.replace(path, pickle.dumps(found))
    return found


@functools.cache
def folder(sources: tuple[str, ...]) -> Path:
    """Where values of these sources are kept. Of the same sources, the folders longest not written to are dropped:
    what takes minutes and rests on other files is not lost by an edit that does not concern it."""
    kind = hashlib.sha256("\n".join(sources).encode()).hexdigest()[:4]
    found = FOLDER / f"{kind}-{code(sources)}"
    others = [other for other in FOLDER.glob(f"{kind}-*") if other != found]
    for other in sorted(others, key=lambda other: other.stat().st_mtime, reverse=True)[CODES - 1 :]:
        shutil.rmtree(other, ignore_errors=True)
    return found


def code(sources: Iterable[str]) -> str:
    """A hash of the source and of the versions that values come from."""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in COMPUTING]
    return digest(sources, platform.python_version(), platform.machine(), *versions)
