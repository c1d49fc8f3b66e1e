"""Records: one JSON object a line, appended and flushed as it comes. What is reported is computed from these alone."""

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bench import places
from bench.staleness import MEASURING, Codes
from equivalence.judge import Verdict, judge, judge_all

if TYPE_CHECKING:
    import pandas as pd

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
QUICK = {True: ("quick",), False: ()}  # in a key: a quick look does not replace what was measured thoroughly
SCHEMA = (
    1  # of the records; to be counted up where this code cannot read, or must not mix with, what was written before
)


@dataclass(frozen=True)
class Unit:
    """Of a number, for whoever reads the records elsewhere."""

    name: str


Seconds = Annotated[float, Unit("s")]
MiB = Annotated[float, Unit("MiB")]
GiB = Annotated[float, Unit("GiB")]
Cores = Annotated[float, Unit("cores")]
PlainSteps = Annotated[float, Unit("plain steps")]
Units = Annotated[float, Unit("rounding units × condition")]
Share = Annotated[float, Unit("share, 0 to 1")]
Nats = Annotated[float, Unit("nats")]


class Header(BaseModel):
    """The first line of a file of records. A file without one has schema 1."""

    kind: Literal["store"] = "store"
    version: int = SCHEMA


class Base(BaseModel):
    """What every record says: when it was made, with which code, where."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants", use_attribute_docstrings=True)
    time: str = ""
    """When it was written, ISO 8601, UTC."""
    code: str = ""
    """Hash of the source that measured; another one makes the record stale."""
    environment: str = ""
    """Id of the environment in which it was made."""


class Environment(Base):
    """The machine and the versions; written once an id."""

    kind: Literal["environment"] = "environment"
    id: str
    """Hash of all that follows."""
    machine: str
    """Folder of the machine's records."""
    cpu: str
    """Model of the processor."""
    cores: int
    """Cores that the run might use."""
    memory_gb: GiB
    """Memory of the machine."""
    system: str
    """Kernel and its version."""
    python: str
    """Version of Python."""
    packages: dict[str, str]
    """Version by package, of those that compute."""
    variables: dict[str, str] = Field(default_factory=dict)
    """Environment variables that were set and change what is measured."""
    commit: str
    """Of the project; of an installed package its version; empty where a checkout has no history."""
    dirty: bool
    """Whether what measures had been changed since that commit."""


class Measured(Base):
    """What every measurement says of itself."""

    framework: str
    """torch, jax or tensorflow."""
    device: str = "cpu"
    """cpu or cuda."""
    status: Status
    """ok, or why there is no measurement; wrong: measured, and not right."""
    reason: str = ""
    """What befell it, in words, where the status is not ok."""


class ClaimRecord(Measured):
    """One claim on one case in one framework: measurements by part, to be judged. Or why there are none."""

    kind: Literal["claim"] = "claim"
    claim: str
    """The claim's id."""
    case: str
    """What it was measured on: a model with its batch."""
    wrong: str = ""
    """The planted mistake that it was measured with; empty: none."""
    seconds: Seconds = 0.0
    """How long it took."""
    parts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """By name of the part, what the judge needs: steps and residuals, errors in rounding units, or rates."""

    @functools.cached_property
    def verdict(self) -> Verdict:
        """What the judge says; a record without measurements does not hold, for the reason that it states."""
        return judge_all(self.parts) if self.status == "ok" else unmeasured(self)

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.claim, self.framework, self.case, self.wrong)


class AgreementRecord(Measured):
    """One usage of a method in one framework against the oracle: signed errors in rounding units × condition."""

    kind: Literal["agreement"] = "agreement"
    usage: str
    """The method with its options."""
    method: str
    """The contract's function."""
    case: str
    """What it was measured on: a model with its batch."""
    dtype: str
    """Of all numbers: float32 or float64."""
    wrong: str = ""
    """The planted mistake that it was measured with; empty: none."""
    measurement: dict[str, Any] = Field(default_factory=dict)
    """Signed errors of value and θ-gradient, in rounding units × condition, and the conditions."""

    @functools.cached_property
    def verdict(self) -> Verdict:
        """What the judge says; a record without measurements does not hold, for the reason that it states."""
        return judge(self.measurement) if self.status == "ok" else unmeasured(self)

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.usage, self.framework, self.case, self.dtype, self.wrong)


class CallRecord(Measured):
    """One method called by itself in every way that the contract allows: what the oracle says against what came."""

    kind: Literal["call"] = "call"
    method: str
    """The contract's function."""
    dtype: str
    """Of all numbers: float32 or float64."""
    wrong: str = ""
    """The planted mistake that it was measured with; empty: none."""
    seconds: Seconds = 0.0
    """How long all of its calls took."""
    parts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """By call the signed errors of values and gradients in rounding units × condition, or the error that it raised."""

    @functools.cached_property
    def verdict(self) -> Verdict:
        """What the judge says of all calls; one that raised has no measurement and does not hold."""
        if self.status != "ok":
            return unmeasured(self)
        raised = {name: part["error"] for name, part in self.parts.items() if "error" in part}
        judged = judge_all({name: part for name, part in self.parts.items() if name not in raised})
        if not raised:
            return judged
        reasons = [f"{name}: {error}" for name, error in raised.items()] + [judged.reason] * (not judged.holds)
        measured = judged.judged and len(raised) < len(self.parts) and not judged.holds
        return Verdict(False, "; ".join(reasons), judged.numbers, judged=measured)

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.method, self.framework, self.dtype, self.wrong)


def unmeasured(record: Measured) -> Verdict:
    """Nothing was judged. What an implementation does not offer does not fail either."""
    offered = record.status != "unsupported"
    return Verdict(not offered, record.reason or f"{record.status}, no reason recorded", judged=False)


class OwnLossRecord(Measured):
    """One of a framework's own losses: whether its derivatives are right. A fact about the framework, not a claim."""

    kind: Literal["own loss"] = "own loss"
    loss: str
    """The framework's name for it."""
    derivatives: dict[str, str] = Field(default_factory=dict)
    """In words whether it can be differentiated twice, and three times."""

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.loss, self.framework)


class VariationRecord(Measured):
    """A group of variations of right implementations: those that a check refused are false alarms."""

    kind: Literal["variations"] = "variations"
    seed: int
    """Of the group."""
    seconds: Seconds = 0.0
    """How long it took."""
    count: int = 0
    """Variations that were measured."""
    failures: dict[str, str] = Field(default_factory=dict)
    """The judge's reason by what was varied."""
    worst: Units = float("nan")
    """The largest error of agreement."""

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.framework, str(self.seed))


class Cell(Measured):
    """Which training step was measured, and whether it could be."""

    method: str
    """Which step: a method of the contract as it is used in training, or an arm of a task."""
    mode: str
    """How the framework runs it: eager, compiled, jit, function, xla, or a training loop in one of them."""
    workload: str
    """The model and batch, with the sizes that were changed."""
    dtype: str = "float32"
    """Of all numbers: float32 or float64."""

    def place(self) -> tuple[str, ...]:
        """What one plain step is the measure for."""
        return (self.workload, self.framework, self.mode, self.dtype, self.device)


class Block(Cell):
    """A process: seconds a step of the method and, interleaved, of the plain step."""

    block: int = 0
    """Which of the cell's processes."""
    steps: list[Seconds] = Field(default_factory=list)
    """Of each step of the method."""
    base: list[Seconds] = Field(default_factory=list)
    """Of each plain step beside it."""
    foreign: Cores = float("nan")
    """Cores' worth of time that other processes took meanwhile; NaN where the system does not say."""

    @property
    def disturbed(self) -> bool:
        """Whether others took so much that the two steps may not have been slowed alike."""
        return self.foreign > DISTURBED  # never where the system does not say

    @functools.cached_property
    def effect(self) -> float:
        """log(time / time of the plain step), the block's one number."""
        from bench.statistics import block_effect  # here: it needs SciPy, and what measures does without it

        return block_effect(self.steps, self.base)


class CostRecord(Block):
    """A block of a cell."""

    kind: Literal["cost"] = "cost"
    batch: int = 0
    """Samples of a step."""
    threads: int = 0
    """Cores that the process might use."""
    quick: bool = False
    """Few samples, one block."""
    floor: PlainSteps = 0.0
    """The least cost, by passes, as if all layers were alike."""
    error: Units = 0.0
    """The largest of the step's value and gradient against the oracle."""

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.method, *self.place(), *QUICK[self.quick], str(self.block))


class PeerRecord(Block):
    """A block of a task: seconds of an arm, the record's method, and of the fastest of ours beside it."""

    kind: Literal["peer"] = "peer"
    task: str
    """The job that several packages do."""
    version: str = ""
    """Package and version, where the arm is one."""
    quick: bool = False
    """Few samples, one block."""

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.task, self.method, *self.place(), *QUICK[self.quick], str(self.block))


class SelfCheckRecord(Block):
    """A block of the timer's check of itself."""

    kind: Literal["self-check"] = "self-check"
    run: int = 0
    """Which of the comparisons."""

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.method, *self.place(), str(self.run), str(self.block))


class ColdRecord(Cell):
    """A cell in a new process with empty caches: what is paid before a step is fast, and memory."""

    kind: Literal["cold"] = "cold"
    imported: Seconds = float("nan")
    """Until the framework is imported."""
    traced: Seconds = float("nan")
    """Until the step is traced; 0 where a mode traces nothing."""
    compiled: Seconds = float("nan")
    """The first call less a later one."""
    step: Seconds = float("nan")
    """A later call."""
    held: MiB = float("nan")
    """Memory of the process before the first step."""
    memory: MiB = float("nan")
    """The most in later steps, what was held before included."""
    device_memory: MiB = float("nan")
    """The most on the GPU."""
    counted: PlainSteps = float("nan")
    """Multiply-adds of the step's graph."""
    least: PlainSteps = float("nan")
    """Multiply-adds that the method cannot do without."""

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.method, *self.place())


class TrainingRecord(Measured):
    """One training: how it went, and what the model is worth on a part of its data set."""

    kind: Literal["training"] = "training"
    dataset: str
    """What was trained on, with the number of labelled samples."""
    title: str = ""
    """Of the data set, in words."""
    regime: str
    """The way to train."""
    strength: float
    """Of the regime, in its own unit: a radius, a weight, a rate."""
    seed: int
    """Of the initialisation, the choice of samples, the order of batches and all draws."""
    part: Literal["validation", "test", "curve"]
    """Of the data, that the model was judged on; a curve is not judged."""
    optimizer: str = "adam"
    """adam or momentum."""
    dtype: str = "float32"
    """Of all numbers: float32 or float64."""
    quick: bool = False
    """Without a search for the strength."""
    losses: list[float] = Field(default_factory=list)
    """Means of epochs; of a curve every step's."""
    step: Seconds = float("nan")
    """The median of a training step."""
    accuracy: Share = float("nan")
    """Samples that are classified rightly."""
    nll: Nats = float("nan")
    """Mean negative log-likelihood of the labels."""
    calibration_error: Share = float("nan")
    """Expected calibration error in 15 bins (Naeini et al. 2015)."""
    confidence: Share = float("nan")
    """Mean of the largest probability."""
    pgd_accuracy: Share = float("nan")
    """Accuracy where PGD with 20 steps has moved the inputs."""
    noise_accuracy: Share = float("nan")
    """Accuracy where normal noise has moved the inputs."""

    def key(self) -> tuple[str, ...]:
        run = (self.dataset, self.regime, f"{self.strength:g}", str(self.seed), self.part)
        return (self.kind, *run, self.framework, self.optimizer, self.dtype, self.device)


Record = Annotated[
    Header
    | Environment
    | ClaimRecord
    | AgreementRecord
    | CallRecord
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
KINDS: dict[str, type[Base]] = {  # of what is measured
    model.model_fields["kind"].default: model
    for model in (
        ClaimRecord,
        AgreementRecord,
        CallRecord,
        OwnLossRecord,
        VariationRecord,
        CostRecord,
        PeerRecord,
        SelfCheckRecord,
        ColdRecord,
        TrainingRecord,
    )
}


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


def load(out: Path | str = "results", kind: str = "cost") -> "pd.DataFrame":
    """The latest records of one kind, of every machine: one row a record, what is known of its environment beside it.

    Columns are the record's fields (`python -m bench export` writes what each means) and `machine`, `cpu`, `commit` of
    the environment, missing where that was not recorded. Lists stay lists.

    Raises:
        ValueError: there is no such kind, no record of it, or the records have another schema.
        FileNotFoundError: there is no such folder.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: got {kind!r}, expected one of {', '.join(KINDS)}")
    if (found := frames(out).get(kind)) is None:
        raise ValueError(f"{out}: no record of kind {kind!r}; what measures it: python -m bench --help")
    return found


def frames(out: Path | str) -> "dict[str, pd.DataFrame]":
    """What `load` gives of each kind that there is, in the order of KINDS; the files are read once."""
    import pandas as pd  # here: what measures does without it

    if not Path(out).is_dir():
        raise FileNotFoundError(f"{out}: no such folder, expected one of results")
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for path in sorted(of_this_schema(Path(out)).glob(FILES)):
        records, problems = read(path)
        if problems:
            warnings.warn(f"{len(problems)} lines are left out: {problems[0]}", stacklevel=3)
        places = {record.id: record for record in records if isinstance(record, Environment)}
        for record in latest(records):
            place = places.get(record.environment)
            told = {name: getattr(place, name, None) for name in ("machine", "cpu", "commit")}
            rows[record.kind].append(record.model_dump() | told)
    return {kind: pd.DataFrame(found) for kind, found in rows.items() if found}


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
    places: dict[str, dict[str, Any]] = {}
    for number, line in lines(path):
        try:
            record = ADAPTER.validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            problems.append(f"{path}:{number}: not a record, left out: {first['msg']}")
            continue
        if isinstance(record, Environment):
            told = record.model_dump(exclude={"time", "code"})
            if places.setdefault(record.id, told) != told:
                problems.append(f"{path}:{number}: another environment with the id {record.id}, left out")
                continue
        if not isinstance(record, Header):
            records.append(record)
    return records, problems


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """With their numbers, one at a time; empty ones are left out."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line := line.rstrip(b"\n"):
                yield number, line


def of_this_schema(folder: Path) -> Path:
    """A folder of results, if this code can read its records; an empty one, or none yet, is.

    Raises:
        ValueError: they have another schema.
    """
    for path in sorted(folder.glob(FILES)):
        if (found := schema(path)) != SCHEMA:
            advice = "use the code that wrote it, or another folder"
            raise ValueError(f"{path}: its records have schema {found}, expected {SCHEMA}: {advice}")
    return folder


class Latest(tuple[Any, ...]):
    """Records no two of which have the same key, and what has been computed from all of them together."""

    @functools.cached_property
    def remembered(self) -> dict[str, Any]:
        return {}

    @functools.cached_property
    def kinds(self) -> dict[str, list[Any]]:
        """By kind."""
        found: dict[str, list[Any]] = {}
        for record in self:
            found.setdefault(record.kind, []).append(record)
        return found


def latest(records: Iterable[Any]) -> Latest:
    """The last record of each key, in the order of first appearance: a new measurement replaces the one before.

    What was interrupted replaces nothing: an older measurement is still the last one.
    """
    if isinstance(records, Latest):
        return records
    kept: dict[tuple[str, ...], Any] = {}
    for record in records:
        if not isinstance(record, Environment) and (record.status != "interrupted" or record.key() not in kept):
            kept[record.key()] = record
    return Latest(kept.values())


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
        "commit": sender.commit if sender else places.commit(),
        "dirty": sender.dirty if sender else places.changed(MEASURING),
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
