"""Records: one JSON object a line, appended and flushed as it comes. What is reported is computed from these alone."""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bench.staleness import MEASURING, ROOT, Codes

FILES = "*/records.jsonl"  # below a folder of results
COMPUTING = (  # whose versions are recorded
    "torch", "jax", "jaxlib", "folx", "optax", "tensorflow", "tensorflow-cpu", "keras", "numpy", "mlxtend", "snownlp",
)  # fmt: skip
TOLD = (  # variables that tell allocators, threads, compilers and devices what to do
    "CUDA_VISIBLE_DEVICES", "GLIBC_TUNABLES", "KMP_AFFINITY", "KMP_BLOCKTIME", "LD_PRELOAD", "MALLOC_ARENA_MAX",
    "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MKL_ENABLE_INSTRUCTIONS",
    "NVIDIA_TF32_OVERRIDE", "OMP_PROC_BIND", "TF_ENABLE_ONEDNN_OPTS", "TF_XLA_FLAGS", "XLA_FLAGS",
)  # fmt: skip
Status = Literal["ok", "wrong", "failed", "timeout", "oom", "unsupported", "skipped", "interrupted", "diverged"]
DISTURBED = 0.25  # cores' worth: an idle machine's own services take a tenth of that
SCHEMA = (
    1  # of the records; to be counted up where this code cannot read, or must not mix with, what was written before
)


class Header(BaseModel):
    """The first line of a file of records. A file without one has schema 1."""

    kind: Literal["store"] = "store"
    version: int = SCHEMA


class Base(BaseModel):
    """What every record says: when it was made, with which code, where."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")  # NaN stays NaN
    time: str = ""
    code: str = ""  # hash of the source that measured
    environment: str = ""  # id of an Environment record


class Environment(Base):
    """The machine and the versions; written once an id."""

    kind: Literal["environment"] = "environment"
    id: str
    machine: str
    cpu: str
    cores: int
    memory_gb: float
    system: str
    python: str
    packages: dict[str, str]
    variables: dict[str, str] = Field(default_factory=dict)  # that are set and change what is measured
    commit: str
    dirty: bool


class ClaimRecord(Base):
    """One claim on one case in one framework: measurements by part, to be judged. Or why there are none."""

    kind: Literal["claim"] = "claim"
    claim: str
    framework: str
    case: str
    wrong: str = ""  # the planted mistake that it was measured with
    device: str = "cpu"
    status: Status
    reason: str = ""
    seconds: float = 0.0
    parts: dict[str, dict[str, Any]] = Field(default_factory=dict)

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.claim, self.framework, self.case, self.wrong)


class AgreementRecord(Base):
    """One usage of a method in one framework against the oracle: signed errors in rounding units × condition."""

    kind: Literal["agreement"] = "agreement"
    usage: str
    method: str
    framework: str
    case: str
    dtype: str
    wrong: str = ""  # the planted mistake that it was measured with
    device: str = "cpu"
    status: Status
    reason: str = ""
    measurement: dict[str, Any] = Field(default_factory=dict)

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.usage, self.framework, self.case, self.dtype, self.wrong)


class OwnLossRecord(Base):
    """One of a framework's own losses: whether its derivatives are right. A fact about the framework, not a claim."""

    kind: Literal["own loss"] = "own loss"
    loss: str
    framework: str
    device: str = "cpu"
    status: Status
    reason: str = ""
    derivatives: dict[str, str] = Field(default_factory=dict)

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.loss, self.framework)


class VariationRecord(Base):
    """A group of variations of right implementations: those that a check refused are false alarms."""

    kind: Literal["variations"] = "variations"
    framework: str
    seed: int
    device: str = "cpu"
    status: Status
    reason: str = ""
    seconds: float = 0.0
    count: int = 0
    failures: dict[str, str] = Field(default_factory=dict)  # what was varied -> the judge's reason
    worst: float = float("nan")  # largest error of agreement, rounding units × condition

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.framework, str(self.seed))


class Cell(Base):
    """Which training step was measured, and whether it could be."""

    method: str
    framework: str
    mode: str
    workload: str
    dtype: str = "float32"
    device: str = "cpu"
    status: Status
    reason: str = ""

    def place(self) -> tuple[str, ...]:
        """What one plain step is the measure for."""
        return (self.workload, self.framework, self.mode, self.dtype, self.device)


class Block(Cell):
    """A process: seconds a step of the method and, interleaved, of the plain step."""

    block: int = 0
    steps: list[float] = Field(default_factory=list)  # of the method
    base: list[float] = Field(default_factory=list)  # of the plain step beside each
    foreign: float = float("nan")  # cores' worth of time that other processes took meanwhile

    @property
    def disturbed(self) -> bool:
        """Whether others took so much that the two steps may not have been slowed alike."""
        return self.foreign > DISTURBED  # never where the system does not say


class CostRecord(Block):
    """A block of a cell."""

    kind: Literal["cost"] = "cost"
    batch: int = 0
    threads: int = 0
    quick: bool = False
    floor: float = 0.0  # least cost in plain steps
    error: float = 0.0  # largest of the step's value and gradient against the oracle, rounding units × condition

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.method, *self.place(), str(self.block))


class PeerRecord(Block):
    """A block of a task: seconds of an arm, the record's method, and of the fastest of ours beside it."""

    kind: Literal["peer"] = "peer"
    task: str
    version: str = ""  # package and version, where the arm is one
    quick: bool = False

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.task, self.method, *self.place(), str(self.block))


class SelfCheckRecord(Block):
    """A block of the timer's check of itself."""

    kind: Literal["self-check"] = "self-check"
    run: int = 0

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.method, *self.place(), str(self.run), str(self.block))


class ColdRecord(Cell):
    """A cell in a new process with empty caches: seconds before a step is fast; MiB that it holds."""

    kind: Literal["cold"] = "cold"
    imported: float = float("nan")  # the framework
    traced: float = float("nan")  # the step; 0 where a mode traces nothing
    compiled: float = float("nan")  # the first call less a later one
    step: float = float("nan")  # a later one
    held: float = float("nan")  # before the first step
    memory: float = float("nan")  # the most in later steps, what was held before included
    device_memory: float = float("nan")  # the most on the GPU
    counted: float = float("nan")  # multiply-adds of the step, in plain steps
    least: float = float("nan")  # multiply-adds that the method cannot do without, in plain steps

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.method, *self.place())


class TrainingRecord(Base):
    """One training: how it went, and what the model is worth on a part of its data set."""

    kind: Literal["training"] = "training"
    dataset: str
    title: str = ""  # of the data set
    regime: str
    strength: float
    seed: int
    part: Literal["validation", "test", "curve"]  # that it was judged on; a curve is not judged
    framework: str
    optimizer: str = "adam"
    dtype: str = "float32"
    device: str = "cpu"
    quick: bool = False
    status: Status
    reason: str = ""
    losses: list[float] = Field(default_factory=list)  # means of epochs; of a curve every step's
    step: float = float("nan")  # seconds, the median
    accuracy: float = float("nan")
    nll: float = float("nan")  # mean negative log-likelihood, nats
    calibration_error: float = float("nan")
    confidence: float = float("nan")  # mean
    pgd_accuracy: float = float("nan")
    noise_accuracy: float = float("nan")

    def key(self) -> tuple[str, ...]:
        run = (self.dataset, self.regime, f"{self.strength:g}", str(self.seed), self.part)
        return (self.kind, *run, self.framework, self.optimizer, self.dtype, self.device)


Record = Annotated[
    Header
    | Environment
    | ClaimRecord
    | AgreementRecord
    | OwnLossRecord
    | VariationRecord
    | CostRecord
    | PeerRecord
    | SelfCheckRecord
    | ColdRecord
    | TrainingRecord,
    Field(discriminator="kind"),
]
ADAPTER: TypeAdapter[Record] = TypeAdapter(Record)


class Store:
    """A folder of records, a file a machine: `<out>/<machine>/records.jsonl`."""

    def __init__(self, out: Path):
        self.out, self.environment, self.codes = out, describe(), Codes()
        self.paths: dict[str, Path] = {}  # by the id of an environment that has been written
        self.path = self.place(self.environment)  # fails here, before any work, where it cannot be written

    def place(self, environment: Environment) -> Path:
        """The file of the environment's machine, with the environment in it."""
        if environment.id not in self.paths:
            path = self.out / environment.machine / "records.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                if file.tell() == 0:
                    file.write(Header().model_dump_json() + "\n")
            if environment.id not in {record.id for record in read(path)[0] if isinstance(record, Environment)}:
                self.write(path, environment, environment)
            self.paths[environment.id] = path
        return self.paths[environment.id]

    def append(self, record: Any, environment: Environment | None = None) -> None:
        """Write one record, measured in an environment, else in this one: it survives whatever comes next."""
        environment = environment or self.environment
        self.write(self.place(environment), record, environment)

    def write(self, path: Path, record: Any, environment: Environment) -> None:
        record.time = datetime.now(UTC).isoformat(timespec="seconds")
        record.code, record.environment = self.codes[record.kind], environment.id
        with path.open("ab+") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
            torn = file.read(1) not in (b"", b"\n")  # a write was interrupted here
            file.write(b"\n" * torn + record.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def compact(self) -> None:
        """Leave out what a later record has replaced, and environments without records; keep a file with damage."""
        for path in set(self.paths.values()):
            records, problems = read(path)
            if not problems:
                rewrite(path, records, latest(records))

    def read(self) -> tuple[list[Any], list[str]]:
        return read(self.path)

    def everything(self) -> list[Any]:
        """What there is of every machine."""
        return [record for path in sorted(self.out.glob(FILES)) for record in read(path)[0]]


def rewrite(path: Path, records: Iterable[Any], kept: Iterable[Any]) -> None:
    """Put the kept records, after the environments in which they were made, in the place of what a file holds."""
    kept = list(kept)
    named = {record.environment for record in kept}
    places = {record.id: record for record in records if isinstance(record, Environment) and record.id in named}
    fresh = path.with_suffix(".new")
    lines = [Header(), *places.values(), *kept]
    fresh.write_text("".join(line.model_dump_json() + "\n" for line in lines), encoding="utf-8")
    fresh.replace(path)


def schema(path: Path) -> int:
    """Of a file of records, by its first line."""
    with path.open("rb") as file:
        first = file.readline()
    try:
        header = json.loads(first)
    except ValueError:
        return 1
    return header["version"] if isinstance(header, dict) and header.get("kind") == "store" else 1


def read(path: Path) -> tuple[list[Any], list[str]]:
    """The records of a file, and for each line that is not one, what is wrong with it. The rest is kept."""
    records, problems = [], []
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line:
            continue
        try:
            record = ADAPTER.validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            problems.append(f"{path}:{number}: not a record, left out: {first['msg']}")
        else:
            if not isinstance(record, Header):
                records.append(record)
    return records, problems


def latest(records: Iterable[Any]) -> list[Any]:
    """The last record of each key, in the order of first appearance: a new measurement replaces the one before.

    What was interrupted replaces nothing: an older measurement is still the last one.
    """
    kept: dict[tuple[str, ...], Any] = {}
    for record in records:
        if not isinstance(record, Environment) and (record.status != "interrupted" or record.key() not in kept):
            kept[record.key()] = record
    return list(kept.values())


def describe(sender: Environment | None = None) -> Environment:
    """This machine, with the versions of what computes. `sender`: where the code came from, if without its history."""
    packages = {}
    for name in COMPUTING:
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    count = len(cores())
    facts = {
        "machine": slug(f"{platform.system()}-{platform.machine()}-{cpu_name()}-{count}-cores"),
        "cpu": cpu_name(),
        "cores": count,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "packages": packages,
        "variables": {name: os.environ[name] for name in TOLD if name in os.environ},
        "commit": sender.commit if sender else git("rev-parse", "--short", "HEAD"),
        "dirty": sender.dirty if sender else bool(git("status", "--porcelain", "--", *MEASURING)),
    }
    identity = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:10]
    return Environment(id=identity, **facts)


def cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()


def slug(text: str) -> str:
    """Fit for a folder's name."""
    return re.sub(r"[^a-z0-9_]+", "-", text.lower())


def git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
