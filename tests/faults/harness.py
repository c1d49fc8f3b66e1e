"""What every kind of fault needs: a command that is run and watched, and what is looked for after it.

A fault is known by its kind, the seed and its number: the three give the same fault again.
"""

import atexit
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from bench.places import PUBLISHED, ROOT
from bench.records.schema import Environment, Header
from bench.records.store import FILES, read
from tests.report.made import call_record

TRACEBACK = re.compile(
    r"^Traceback \(most recent call last\)|^\s*File \"[^\"]+\", line \d+, in |Exception ignored in", re.MULTILINE
)
# Ctrl-C while Python looks for the command: no line of ours has run, and none can say it better.
BEFORE = re.compile(r"^Traceback[^\n]*\n(?:  File \"<frozen [^\n]*\n)+KeyboardInterrupt\s*\Z", re.MULTILINE)
MARK = "EQUIREG_FAULT"  # a variable that every process of a fault inherits, by which it is found
LIMIT = 600.0  # seconds after which a command counts as hanging
ENDING = 15.0  # seconds in which whatever a command has started is gone


@dataclass
class Verdict:
    """What became of a fault: what there is to complain of, records that are lost, tracebacks that a user would see."""

    what: str
    complaints: list[str] = field(default_factory=list)
    lost: int = 0
    tracebacks: int = 0
    skipped: str = ""  # why it could not be tried here
    seconds: float = 0.0  # that it took

    @property
    def survived(self) -> bool:
        return not (self.complaints or self.lost or self.tracebacks)

    def complain_unless(self, right: bool, words: str) -> None:
        if not right:
            self.complaints.append(words)


@dataclass(frozen=True)
class Kind:
    """So many faults of one kind; `inflict(number, seed)` tries one of them, in a process that others use after it."""

    name: str
    count: int
    inflict: Callable[[int, int], Verdict]


@dataclass
class Ended:
    """How a command ended; None for a status: it had to be ended."""

    status: int | None
    said: str
    seconds: float
    left: list[str]  # processes that outlived it

    def judge(self, verdict: Verdict, expected: set[int]) -> None:
        """What holds of every command: it ends, with a documented status, in words, and leaves nothing running."""
        verdict.complain_unless(self.status is not None, f"no end in {LIMIT:g} s")
        if self.status is not None:
            verdict.complain_unless(self.status in expected, f"exit status {self.status}, expected {sorted(expected)}")
        verdict.complain_unless(not self.left, f"outlived by {', '.join(self.left)}")
        verdict.tracebacks += bool(TRACEBACK.search(BEFORE.sub("", self.said)))
        if verdict.complaints or verdict.tracebacks:
            verdict.complaints.append(f"it said: …{self.said.strip()[-600:]}")


def generator(seed: int, kind: str, number: int) -> np.random.Generator:
    """Random numbers of one fault."""
    return np.random.default_rng([seed, number, *kind.encode()])


@contextmanager
def a_folder() -> Iterator[Path]:
    """A folder of a fault's own, for results and for temporary files."""
    with tempfile.TemporaryDirectory(prefix="fault-", ignore_cleanup_errors=True) as name:
        yield Path(name)


class Command:
    """`python -m bench` with some words, in a folder of its own."""

    def __init__(self, words: list[str], folder: Path, prepare: Callable[[], None] | None = None, **variables: str):
        self.mark, self.began = f"{os.getpid()}-{time.monotonic_ns()}", time.monotonic()
        temporary = folder / "tmp"
        temporary.mkdir(exist_ok=True)
        environment = os.environ | {MARK: self.mark, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)} | variables
        self.output = tempfile.TemporaryFile()  # noqa: SIM115 - closed where the command has ended
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench", *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: heard(prepare),
        )

    def workers(self) -> list[psutil.Process]:
        """The processes that it has started and that live."""
        return [each for each in marked(self.mark) if each.pid != self.process.pid]

    def end(self, limit: float = LIMIT) -> Ended:
        """Wait for its end and for that of all that it has started; what does not end is ended."""
        try:
            status: int | None = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
            self.process.kill()
            self.process.wait()
        seconds = time.monotonic() - self.began
        deadline = time.monotonic() + ENDING
        while (left := self.workers()) and time.monotonic() < deadline:
            time.sleep(0.1)
        names = [f"{each.pid} ({' '.join(said_of(each))[:80]})" for each in left]
        for each in left:
            each.kill()
        self.output.seek(0)
        said = self.output.read().decode("utf-8", "replace")
        self.output.close()
        return Ended(status, said, seconds, names)


def heard(prepare: Callable[[], None] | None) -> None:
    """What nohup, or a shell in the background, has this process ignore would be ignored by all that it starts."""
    for each in (signal.SIGHUP, signal.SIGINT):
        signal.signal(each, signal.SIG_DFL)
    if prepare is not None:
        prepare()


def run(words: list[str], folder: Path, prepare: Callable[[], None] | None = None, **variables: str) -> Ended:
    """A command from its beginning to its end."""
    return Command(words, folder, prepare, **variables).end()


def marked(mark: str) -> list[psutil.Process]:
    """The living processes that a fault's command has started, whoever their parent is by now."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def said_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return ["gone"]


def some_records(each: int = 3) -> list:
    """Real records: the environments in which they were made, and a few of every kind."""
    (path, *_) = sorted(PUBLISHED.glob(FILES))
    records = read(path)[0]
    kinds: dict[str, list] = {}
    for record in records:
        kinds.setdefault(record.kind, []).append(record)
    places = kinds.pop("environment")
    calls = [call_record([1.0, -2.0]), call_record([1.0, 40.0])]
    for call in calls:
        call.time, call.environment = records[-1].time, places[0].id
    return [*places, *calls, *(record for own in kinds.values() for record in own[:: max(1, len(own) // each)][:each])]


def lines_of(records: list) -> list[str]:
    return [Header().model_dump_json(), *(record.model_dump_json() for record in records)]


def write_store(out: Path, lines: list[str] | bytes) -> Path:
    """A folder of results of one machine."""
    path = out / "here" / "records.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(lines if isinstance(lines, bytes) else "".join(f"{line}\n" for line in lines).encode())
    return path


def write_results(out: Path, with_report: bool) -> None:
    """A folder of real results, and where it is wanted their report."""
    if with_report:
        shutil.copytree(reported(), out)
    else:
        write_store(out, lines_of(real_records()))


real_records = functools.cache(some_records)


@functools.cache
def reported() -> Path:
    """A folder of real results and their report, made once; it goes when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_results(folder / "out", with_report=False)
    run(["report", "--out", str(folder / "out")], folder)
    return folder / "out"


def measured(out: Path) -> dict[tuple, str]:
    """What a folder of results holds, by key; without the environments."""
    return {
        (*record.key(), record.time): record.model_dump_json()
        for path in out.glob(FILES)
        for record in read(path)[0]
        if not isinstance(record, Environment)
    }


def whole_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def torn_files(out: Path) -> list[str]:
    """The files of a folder of results that are cut short; a last line of records may be, which the next run ends."""
    found = []
    for path in sorted(out.rglob("*")):
        if not path.is_file() or path.name.startswith("."):
            continue
        data = path.read_bytes()
        if path.suffix in ENDS and not data.rstrip().endswith(ENDS[path.suffix]):
            found.append(path.name)
        if path.suffix == ".json" and not whole_json(path):
            found.append(path.name)
        if path.name == "history.csv" and any(line.count(b",") < 8 for line in data.splitlines()):
            found.append(path.name)
    return found


ENDS = {".html": b"</html>", ".svg": b"</svg>"}
