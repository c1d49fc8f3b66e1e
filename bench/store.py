"""Records: one JSON object a line, appended and flushed as it comes. What is reported is computed from these alone."""

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

ROOT = Path(__file__).parents[1]
CODE = ("impls", "equivalence", "bench")  # what measures, less the report: rendering changes no measurement
RENDERING = ("bench", "report")
COMPUTING = (  # whose versions are recorded
    "torch", "jax", "jaxlib", "folx", "optax", "tensorflow", "tensorflow-cpu", "keras", "numpy", "mlxtend", "snownlp",
)  # fmt: skip
Status = Literal["ok", "wrong", "failed", "timeout", "unsupported", "skipped", "interrupted"]


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
    commit: str
    dirty: bool


class ClaimRecord(Base):
    """One claim on one case in one framework: measurements by part, to be judged. Or why there are none."""

    kind: Literal["claim"] = "claim"
    claim: str
    framework: str
    case: str
    wrong: str = ""  # the planted mistake that it was measured with
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


class CostRecord(Cell):
    """A block of a cell: seconds a step of the method and, interleaved, of the plain step in the same process."""

    kind: Literal["cost"] = "cost"
    block: int = 0
    batch: int = 0
    threads: int = 0
    quick: bool = False
    floor: float = 0.0  # least cost in plain steps
    error: float = 0.0  # largest of the step's value and gradient against the oracle, rounding units × condition
    steps: list[float] = Field(default_factory=list)  # of the method
    base: list[float] = Field(default_factory=list)  # of the plain step beside each
    foreign: float = float("nan")  # cores' worth of time that other processes took meanwhile

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.method, *self.place(), str(self.block))


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

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.method, *self.place())


Record = Annotated[
    Environment | ClaimRecord | AgreementRecord | OwnLossRecord | VariationRecord | CostRecord | ColdRecord,
    Field(discriminator="kind"),
]
ADAPTER: TypeAdapter[Record] = TypeAdapter(Record)


class Store:
    """The records of one machine: `<out>/<machine>/records.jsonl`."""

    def __init__(self, out: Path):
        self.environment = describe()
        self.path = out / self.environment.machine / "records.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.code = code_hash()
        with self.path.open("a"):  # fails here, before any work, where it cannot be written
            pass
        if self.environment.id not in {record.id for record in self.read()[0] if isinstance(record, Environment)}:
            self.append(self.environment)

    def append(self, record: Any) -> None:
        """Write one record and flush it: what was measured survives whatever comes next."""
        record.time = datetime.now(UTC).isoformat(timespec="seconds")
        record.code, record.environment = self.code, self.environment.id
        with self.path.open("ab+") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
            torn = file.read(1) not in (b"", b"\n")  # a write was interrupted here
            file.write(b"\n" * torn + record.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def compact(self) -> None:
        """Leave out what a later record has replaced, and environments without records; keep a file with damage."""
        records, problems = self.read()
        if problems:
            return
        kept = latest(records)
        named = {record.environment for record in kept}
        places = [record for record in records if isinstance(record, Environment) and record.id in named]
        fresh = self.path.with_suffix(".new")
        fresh.write_text("".join(record.model_dump_json() + "\n" for record in [*places, *kept]), encoding="utf-8")
        fresh.replace(self.path)

    def read(self) -> tuple[list[Any], list[str]]:
        return read(self.path)


def read(path: Path) -> tuple[list[Any], list[str]]:
    """The records of a file, and for each line that is not one, what is wrong with it. The rest is kept."""
    records, problems = [], []
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line:
            continue
        try:
            records.append(ADAPTER.validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            problems.append(f"{path}:{number}: not a record, left out: {first['msg']}")
    return records, problems


def latest(records: Iterable[Any]) -> list[Any]:
    """The last record of each key, in the order of first appearance: a new measurement replaces the one before."""
    kept: dict[tuple[str, ...], Any] = {}
    for record in records:
        if not isinstance(record, Environment):
            kept[record.key()] = record
    return list(kept.values())


def code_hash() -> str:
    """Of the Python source that measures: a record made with other code is known by it."""
    digest = hashlib.sha256()
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.relative_to(ROOT).parts[:2] == RENDERING:
                continue
            digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def describe() -> Environment:
    """This machine, with the versions of what computes."""
    packages = {}
    for name in COMPUTING:
        try:
            packages[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    count = len(cores())
    facts = {
        "machine": f"{platform.system()}-{platform.machine()}-{count}-cores".lower(),
        "cpu": cpu_name(),
        "cores": count,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "packages": packages,
        "commit": git("rev-parse", "--short", "HEAD"),
        "dirty": bool(git("status", "--porcelain", "--", *CODE)),
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


def git(*arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
