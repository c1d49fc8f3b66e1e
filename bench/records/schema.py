"""What a record says: one model a kind, with the meaning and the unit of every field."""

import functools
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

import impls
from equivalence.judge import Verdict, judge, judge_all
from equivalence.measure import FULL, bound
from equivalence.precision import COSINE, DEFAULT

Status = Literal["ok", "wrong", "failed", "timeout", "oom", "unsupported", "skipped", "interrupted", "diverged"]
DISTURBED = 0.25  # cores' worth: an idle machine's own services take a tenth of that
QUICK = {True: ("quick",), False: ()}  # in a key: a quick look does not replace what was measured thoroughly
SAME_RATE = 1.25  # a machine finds itself again within this factor; the next generation is further away
# Of the records; to be counted up where this code cannot read, or must not mix with, what was written before.
SCHEMA = 1


@dataclass(frozen=True)
class Unit:
    """The unit of a number, for whoever reads the records elsewhere."""

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
    """The time at which the record was written, ISO 8601, UTC."""
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
    """Model of the processor, with family, model and stepping where it has them: one name may hide generations."""
    cores: int
    """Cores that the run might use."""
    memory_gb: GiB
    """Memory of the machine."""
    product_gflops: float | None = None
    """Speed of a small matrix product on one core, in 10⁹ operations a second; missing in older records."""
    system: str
    """Kernel and its version."""
    python: str
    """Version of Python."""
    packages: dict[str, str]
    """Version by package, of those that compute."""
    variables: dict[str, str] = Field(default_factory=dict)
    """Environment variables that were set and change what is measured."""
    commit: str
    """The project's commit, or the version of an installed package; it is empty where a checkout has no history."""
    dirty: bool
    """Whether what measures had been changed since that commit."""

    def same_as(self, other: "Environment") -> bool:
        """Whether what is measured in the one may stand beside what is measured in the other."""
        own = {"time", "code", "environment", "id", "product_gflops"}  # who wrote it, or measured anew
        return self.model_dump(exclude=own) == other.model_dump(exclude=own) and as_fast(
            self.product_gflops, other.product_gflops
        )


def as_fast(one: float | None, other: float | None) -> bool:
    """Whether two rates may be those of one machine; an unknown one is no reason against it."""
    return not one or not other or max(one, other) <= SAME_RATE * min(one, other)


def known_framework(name: str) -> str:
    """The name, if it is one of the project's frameworks; a record of another is none that this code can show."""
    if name not in impls.FRAMEWORKS:
        raise ValueError(f"got the framework {name!r}, expected one of {', '.join(impls.FRAMEWORKS)}")
    return name


class Measured(Base):
    """What every measurement says of itself."""

    framework: Annotated[str, AfterValidator(known_framework)]
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
    """Map each part to what the judge needs: steps and residuals, errors in rounding units, or rates."""

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
    """Of all numbers: float64, float32, bfloat16, float16. "mixed bfloat16": of the model's, all others are float32."""
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
    """The precision of all numbers: float32 or float64."""
    wrong: str = ""
    """The planted mistake that it was measured with; empty: none."""
    seconds: Seconds = 0.0
    """How long all of its calls took."""
    parts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Map each call to signed errors of values and gradients, in rounding units × condition, or to what it raised."""

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


class AtlasRecord(Measured):
    """One operation of a framework in one mode: which of its higher derivatives are right. A fact, not a claim."""

    kind: Literal["atlas"] = "atlas"
    operation: str
    """As the framework's users call it."""
    family: str
    """What kind of operation it is."""
    mode: str
    """How derivatives are taken: eager, compiled in one way or another, or mapped over samples."""
    version: str
    """Of the framework, and of whatever package the operation is from; another one makes the record stale."""
    input: str = ""
    """The arrays that it was measured at, as an expression."""
    rows: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """By composition of reverse (R) and forward (F) mode a word, how far off relative to the derivative, what came and
    what was expected with its uncertainty, or the error's message."""
    kinks: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """By name of a place without a derivative: what both modes say there, and the slopes below and above."""

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.operation, self.framework, self.version, self.mode)


class ConformanceRecord(Measured):
    """One function of a published package in the place of one of the contract, with a person's word on it."""

    kind: Literal["conformance"] = "conformance"
    package: str
    """The distribution."""
    version: str
    """Of the package and of the framework; another one makes the record stale."""
    judged_version: str = ""
    """Of the package, that the word was given for."""
    function: str
    """The package's function, as its users write it; empty where the package cannot be used at all."""
    method: str
    """The contract's function."""
    compared: str
    """In which norms and options."""
    dtypes: tuple[str, ...] = FULL
    """Those that it computes in."""
    gradients: bool = True
    """Whether the parameters' gradient passes through it."""
    traced: bool = True
    """Whether it can be traced and compiled."""
    word: str
    """right, wrong, convention or limit; by a person."""
    said: str
    """The person's reason."""
    since: str = ""
    """The version from which on it is so, where that is known."""
    claims: dict[str, dict[str, int]] = Field(default_factory=dict)
    """By claim how many of its measurements hold, fail, and are not covered."""
    failing: dict[str, str] = Field(default_factory=dict)
    """By claim and place what the judge says of what does not hold."""
    worst: Units = float("nan")
    """The largest error of agreement with the oracle."""
    witness: list[str] = Field(default_factory=list)
    """The lines that the witness prints: what comes, and the closed form."""
    changes: str = ""
    """What importing the package did to its process; that was put back."""
    printed: str = ""
    """What the function printed."""
    contradiction: str = ""
    """Why the word may not stand beside what was measured; empty where it may."""

    @functools.cached_property
    def verdict(self) -> Verdict:
        """Whether the word stands; a package that is not usable, or not installed, is no failure."""
        if self.status != "ok":
            return unmeasured(self) if self.status != "skipped" else Verdict(True, self.reason, judged=False)
        return Verdict(not self.contradiction, self.contradiction or self.said)

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.package, self.function, self.method, self.framework, self.version)


class PrecisionRecord(Measured):
    """What half precision leaves of each method on one case: directions against exact ones."""

    kind: Literal["precision"] = "precision"
    case: str
    """What it was measured on: a model with its batch."""
    dtype: str
    """That the model computes in. "mixed bfloat16": all other numbers are float32. In full precision, ξ alone."""
    seconds: Seconds = 0.0
    """How long it took."""
    methods: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """By method each sample's cosine with the exact direction, and the share of samples lost; by ξ the worst cosine."""

    @functools.cached_property
    def verdict(self) -> Verdict:
        """Whether VAT's default direction keeps its cosine in every sample; the others are facts."""
        if self.status != "ok":
            return unmeasured(self)
        if self.dtype in FULL:
            return Verdict(True, "a sweep over ξ, which nobody judges")
        return judge(bound(np.array(self.methods[DEFAULT]["cosines"]), COSINE))

    def key(self) -> tuple[str, ...]:
        return (self.kind, self.framework, self.case, self.dtype, self.device)


class VariationRecord(Measured):
    """A group of variations of right implementations: those that a check refused are false alarms."""

    kind: Literal["variations"] = "variations"
    seed: int
    """The seed of the group's numbers."""
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


class StepRecord(Measured):
    """Which training step was measured, and whether it could be."""

    method: str
    """Which step: a method of the contract as it is used in training, or an arm of a task."""
    mode: str
    """How the framework runs it: eager, compiled, jit, function, xla, or a training loop in one of them."""
    workload: str
    """The model and batch, with the sizes that were changed."""
    dtype: str = "float32"
    """Of all numbers: float32, or another one. "mixed bfloat16": of the model's, all others are float32."""

    def place(self) -> tuple[str, ...]:
        """What one plain step is the measure for."""
        return (self.workload, self.framework, self.mode, self.dtype, self.device)


class Block(StepRecord):
    """A process: seconds a step of the method and, interleaved, of the plain step."""

    block: int = 0
    """Which of the cell's processes."""
    steps: list[Seconds] = Field(default_factory=list)
    """Seconds of each step of the method."""
    base: list[Seconds] = Field(default_factory=list)
    """Seconds of each plain step beside it."""
    foreign: Cores = float("nan")
    """Cores' worth of time that other processes took meanwhile; NaN where the system does not say."""

    @property
    def disturbed(self) -> bool:
        """Whether others took so much that the two steps may not have been slowed alike."""
        return self.foreign > DISTURBED  # never where the system does not say

    @functools.cached_property
    def effect(self) -> float:
        """log(time / time of the plain step), the block's one number."""
        from bench.records.block_statistics import (
            block_effect,  # here: it needs SciPy, and what measures does without it
        )

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


class ColdRecord(StepRecord):
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
    """The data set, in words."""
    regime: str
    """The way to train."""
    strength: float
    """The regime's strength in its own unit: a radius, a weight, a rate."""
    seed: int
    """The seed of the initialisation, the choice of samples, the order of batches and all draws."""
    part: Literal["validation", "test", "curve"]
    """The part of the data that the model was judged on; a curve is not judged."""
    optimizer: str = "adam"
    """adam or momentum."""
    dtype: str = "float32"
    """Of all numbers: float32 or float64. bfloat16 or float16: of the model's alone, parameters are float32."""
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
    elsewhere_accuracy: Share = float("nan")
    """Accuracy on text of other sources."""
    elsewhere_nll: Nats = float("nan")
    """Mean negative log-likelihood on text of other sources."""
    elsewhere_calibration_error: Share = float("nan")
    """Expected calibration error on text of other sources."""
    elsewhere_confidence: Share = float("nan")
    """Mean of the largest probability on text of other sources."""

    def key(self) -> tuple[str, ...]:
        run = (self.dataset, self.regime, f"{self.strength:g}", str(self.seed), self.part)
        return (self.kind, *run, self.framework, self.optimizer, self.dtype, self.device)


Record = Annotated[
    Header
    | Environment
    | ClaimRecord
    | AgreementRecord
    | CallRecord
    | AtlasRecord
    | ConformanceRecord
    | PrecisionRecord
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
        AtlasRecord,
        ConformanceRecord,
        PrecisionRecord,
        VariationRecord,
        CostRecord,
        PeerRecord,
        SelfCheckRecord,
        ColdRecord,
        TrainingRecord,
    )
}
