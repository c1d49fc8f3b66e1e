"""What a training keeps while it runs, so that it goes on after its last epoch when it is interrupted.

A file holds all that the rest of a training depends on: parameters, the optimiser's state, generators of random
numbers, and what has come of it so far. It is replaced whole, and is taken only by the same training: of the same code,
versions, data and settings. Who resumes gets the same numbers, bit for bit, as who was never interrupted.
"""

import contextlib
import hashlib
import importlib.metadata
import json
import platform
import re
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.records import files
from impls.frameworks import DESCRIBED

FOLDER = "unfinished"  # below a folder of results
PATIENCE = 5.0  # seconds of training that may be lost, and that saving is not worth more often than
SHARE = 20  # times as long as it takes to save, training goes on before the next time
ABOUT = "about"  # the array of the file that holds JSON
DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error, NotImplementedError)
WORDS = {  # of what is not the same, the first that differs
    "code": "other code",
    "versions": "other versions of packages",
    "setting": "another setting",
    "data": "other data or another model at its start",
}


@dataclass
class Run:
    """How far a training is: all that is not the trainer's own."""

    order: np.random.Generator
    draws: np.random.Generator
    epoch: int  # so many are over
    losses: list[float]
    times: list[float]


class Keeper:
    """Keeps one training, in one file."""

    def __init__(
        self, path: Path, identity: dict[str, Any], resume: bool, say: Callable[[str], None], every: float = PATIENCE
    ):
        self.path, self.identity, self.resume, self.say, self.every = path, identity, resume, say, every
        self.pause, self.saved = every, time.monotonic()

    def restore(self, trainer: Any, run: Run) -> None:
        """Bring the trainer and the run to where the last one was kept, if it was the same; else say why not."""
        if not self.resume or not self.path.exists():
            return
        try:
            about, arrays = read(self.path)
            differs = [name for name in WORDS if about["identity"].get(name) != self.identity[name]]
        except DAMAGED as error:
            self.say(f"what was kept cannot be read ({error}): starts from the beginning")
            return
        if differs:
            self.say(f"what was kept is of {WORDS[differs[0]]}: starts from the beginning")
            return
        run.order.bit_generator.state, run.draws.bit_generator.state = about["order"], about["draws"]
        run.epoch, run.losses[:], run.times[:] = about["epoch"], about["losses"], about["times"]
        trainer.restore(arrays)
        self.say(f"goes on after epoch {run.epoch} of {about['epochs']}")

    def save(self, trainer: Any, run: Run, epochs: int) -> None:
        """Keep an epoch, unless that would take more time than it is worth."""
        began = time.monotonic()
        if began - self.saved < self.pause or run.epoch == epochs:
            return
        arrays = {name: plain(array) for name, array in trainer.state().items()}
        about = {
            "identity": self.identity,
            "epoch": run.epoch,
            "epochs": epochs,
            "losses": run.losses,
            "times": run.times,
            "order": run.order.bit_generator.state,
            "draws": run.draws.bit_generator.state,
            "names": list(arrays),
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            files.replace_by(self.path, lambda unfinished: write(unfinished, about, list(arrays.values())))
        except OSError as error:  # a full disk costs what would be kept, not the training
            self.say(f"epoch {run.epoch} is not kept: {error}")
        self.saved = time.monotonic()
        self.pause = max(self.every, SHARE * (self.saved - began)) if self.every else 0.0


def plain(array: np.ndarray) -> np.ndarray:
    """An array that NumPy can write: of bfloat16, which it does not know, the same numbers in float32."""
    return array.astype(np.float32) if array.dtype.kind == "V" else array


def write(path: Path, about: dict[str, Any], arrays: list[np.ndarray]) -> None:
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with path.open("wb") as file:
        named: dict[str, Any] = {ABOUT: text} | {str(number): array for number, array in enumerate(arrays)}
        np.savez(file, **named)


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a file holds; nothing in it is run, whoever wrote it."""
    with opened(path) as (about, file):
        return about, {name: file[str(number)] for number, name in enumerate(about["names"])}


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[dict[str, Any], Any]]:
    """What a file says of itself, and its arrays to be read."""
    with path.open("rb") as plain, np.load(plain, allow_pickle=False) as file:
        yield json.loads(file[ABOUT].tobytes()), file


def place(folder: Path, framework: str, job: Mapping[str, Any], task: list[Any]) -> Path:
    """The file of a training: a name to be read, and what tells it from all others whose names read alike."""
    told = [framework, *task, job["part"], job["dtype"]]
    digest = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:8]
    readable = re.sub(r"[^a-z0-9.]+", "-", " ".join(map(str, told)).lower())
    return folder / f"{readable[:80]}-{digest}.npz"


def versions(framework: str) -> dict[str, str]:
    """What computes, by package."""
    found = {"python": platform.python_version()}
    for name in (*DESCRIBED[framework].packages, "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def digest(batches: dict[str, np.ndarray]) -> str:
    """A hash of arrays with their names."""
    found = hashlib.sha256()
    for name, array in sorted(batches.items()):
        found.update(f"{name} {array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()[:16]


def kept(folder: Path) -> Iterator[str]:
    """Which trainings can go on, and after which epoch."""
    for path in sorted(folder.glob("*.npz")):
        with contextlib.suppress(*DAMAGED), opened(path) as (about, _):
            yield f"{about['identity']['name']}, after epoch {about['epoch']} of {about['epochs']}"
