"""Someone else's implementation: what the file holds, and which tasks measure it.

The file is only ever imported in a worker, first in one of its own: what it does there ends that worker and no more.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from bench.proofs import verify
from bench.records.machine import cores
from bench.records.schema import AgreementRecord, CallRecord, ClaimRecord, Measured
from bench.running.job import Job, Outcome
from bench.running.local import run
from equivalence.foreign.journal import counted, ended_in
from equivalence.judge import judge
from equivalence.measure import ROUNDING_UNIT, not_covered
from equivalence.usages import usages

IMPORTING, CALL, TASK = 30.0, 20.0, 60.0  # seconds that an import, one call, a claim on a case may take
OURS = 600.0  # of our own code, which does not hang
NO_GRADIENTS = "GRADIENTS is False"
AS_WRITTEN = {"TORCHDYNAMO_DISABLE": "1"}  # torch.compile goes into no transformation, and takes minutes
FEW = 4  # tasks that take about as long as starting one more worker
WORKER = "equivalence.worker"


class BadImplementation(Exception):
    """Why a file cannot be verified."""


def source(path: Path) -> Path:
    """The file's full path, if it is Python; found out without running any of it."""
    if path.suffix != ".py":
        raise BadImplementation(f"{path}: expected a Python file, its name ending in .py")
    try:
        compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except OSError as error:
        raise BadImplementation(f"{path}: cannot be read: {error.strerror}") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # deep nests end a parser so
        where = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        code = f": `{error.text.strip()}`" if isinstance(error, SyntaxError) and error.text else ""
        what = error.msg if isinstance(error, SyntaxError) else error
        raise BadImplementation(f"{path}{where}: not Python: {what}{code}") from None
    return path.resolve()


class NotAsDeclared(Exception):
    """A file is not what its text says, or cannot be imported: to be looked at in a process of its own first."""


class ImplementationRecord(Measured):
    """A file of someone else's: what it replaces, and what is to be known of it beside its measurements. Not stored."""

    kind: Literal["implementation"] = "implementation"
    path: str
    """The file."""
    functions: list[str]
    """The contract's functions that it has."""
    dtypes: tuple[str, ...] = tuple(ROUNDING_UNIT)
    """The dtypes that the file says its functions compute in."""
    gradients: bool = True
    """Whether it says that gradients flow into the parameters."""
    traced: bool = True
    """Whether it says that its functions can be traced and compiled."""
    changes: str = ""
    """What importing it did to its process, in words; that was put back before its functions were called."""
    defaults: list[str] = Field(default_factory=list)
    """In words, which defaults of its functions are not the contract's: of options that choose a way."""
    calls: dict[str, int] = Field(default_factory=dict)
    """How often each function was called."""
    in_reference: dict[str, int] = Field(default_factory=dict)
    """Count in how many of these calls the reference's function of the same name was entered."""

    def words(self) -> str:
        """What is not offered; nothing where all is."""
        alone = [f"{' and '.join(self.dtypes)} alone"] if len(self.dtypes) < len(ROUNDING_UNIT) else []
        alone += [] if self.gradients else ["values alone, no gradients in the parameters"]
        alone += [] if self.traced else ["no tracing"]
        return ", ".join(alone)

    def remarks(self) -> Iterator[str]:
        """What is to be known, in sentences."""
        if self.changes:
            yield f"importing it changes {self.changes}; that was put back before its functions were called"
        yield from self.defaults
        for name, inside in self.in_reference.items():
            if inside:
                yield f"{name}: {inside} of {self.calls[name]} calls end in the reference"


def contents(path: Path, framework: str, device: str) -> ImplementationRecord:
    """What the file has of the contract, as a process of its own finds it."""
    heard: list[Any] = []
    # Python code is stopped before the limit.
    job = Job(WORKER, framework, {"device": device}, [looking(path)], limit=IMPORTING + 2, processor_time=True)
    run([job], [cores()], heard.append)
    outcome = heard[-1]
    if outcome.status != "ok":
        died = outcome.reason.removeprefix("the worker died: ")
        ended = f"ended its process when it was imported: {died}" if died != outcome.reason else outcome.reason
        raise BadImplementation(f"{path}: {ended}")
    return ImplementationRecord(framework=framework, device=device, status="ok", path=str(path), **outcome.result)


def looking(path: Path) -> list[Any]:
    """The task of finding out what a file has."""
    return ["contents", str(path), IMPORTING]


class Trial:
    """The runs of one file: its jobs, and the records that they give.

    Of a file that is only known by its text, the first worker says what it has before it measures anything: then
    `meet` is called, or NotAsDeclared raised.
    """

    def __init__(self, own: ImplementationRecord, journal: str, meet: Callable[[], None] | None = None):
        self.own, self.framework, self.device, self.gradients = own, own.framework, own.device, own.gradients
        self.journal, self.meet = journal, meet
        self.told: set[int] = set()  # processes whose end has been explained
        self.ours = {
            "device": self.device,
            "environment": verify.environment() | AS_WRITTEN,
            "gradients": own.gradients,
        }
        file = {"path": own.path, "importing": IMPORTING, "seconds": CALL, "journal": journal}
        self.arguments = self.ours | {"implementation": file}

    def jobs(self, chosen: verify.Chosen, slots: int) -> list[Job]:
        """Every claim and usage of what the file replaces."""
        found = [part for task in verify.tasks(chosen) for part in split(task)]
        shares = min(slots, 1 + len(found) // FEW)
        dealt = [found[share::shares] for share in range(shares) if found[share::shares]]
        if dealt and self.meet:
            dealt[0].insert(0, looking(Path(self.own.path)))
        return list(map(self.job, dealt))

    def job(self, tasks: list[Any], clean: bool = False) -> Job:
        """Tasks for one process, with the file's functions; a clean one knows nothing of the file."""
        if clean:
            return Job(WORKER, self.framework, self.ours, tasks, OURS)
        return Job(WORKER, self.framework, self.arguments, tasks, TASK, processor_time=True)

    def records(self, outcome: Outcome) -> list[Any]:
        """Turn an outcome into records; of a process that ended they name the function that it was in."""
        if outcome.task[0] == "contents":
            self.compare(outcome)
            return []
        gone = {process: name for process, name in ended_in(self.journal).items() if process not in self.told}
        self.told |= gone.keys()
        if gone and outcome.status != "ok":
            outcome = replace(outcome, reason=f"{' or '.join(set(gone.values()))} was running: {outcome.reason}")
        records = verify.records(outcome)
        return records if self.gradients else list(map(values_alone, records))

    def compare(self, outcome: Outcome) -> None:
        """Hold what the file has against what its text says."""
        found = {"changes": "", "defaults": []} | outcome.result
        self.own.changes, self.own.defaults = found.pop("changes"), found.pop("defaults")
        stated = {name: getattr(self.own, name) for name in ("functions", "dtypes", "gradients", "traced")}
        if outcome.status != "ok" or {**found, "dtypes": tuple(found["dtypes"])} != stated:
            raise NotAsDeclared
        if self.meet:
            self.meet()

    def count(self) -> None:
        """Note how often the functions were called, and how often in the end it was the reference that was."""
        for name, (calls, in_reference) in counted(self.journal).items():
            self.own.calls[name], self.own.in_reference[name] = calls, in_reference

    def about_gradients(self, records: Collection[Any]) -> None:
        """Excuse what fails of claims about gradients, if none are offered: the reference fails without them, too."""
        failing = [record for record in records if isinstance(record, ClaimRecord) and not record.verdict.holds]
        tasks = [["claim", record.claim, record.case, ""] for record in failing]
        if self.gradients or not tasks:
            return
        heard: list[Any] = []
        run([Job(WORKER, self.framework, self.ours, tasks, OURS)], [cores()], heard.append)
        controls = {tuple(event.task[1:3]): event for event in heard if isinstance(event, Outcome)}
        for record in failing:
            if control := controls.get((record.claim, record.case)):
                excuse(record, control)


def values_alone(record: Any) -> Any:
    """The record of an agreement or of calls without gradients, which were not computed."""
    if isinstance(record, AgreementRecord) and record.status == "ok":
        record.measurement["values only"] = True
    if isinstance(record, CallRecord):
        for part in record.parts.values():
            part["values only"] = True
    return record


def excuse(record: ClaimRecord, control: Outcome) -> None:
    """Take from a claim the parts that fail without gradients whatever the implementation."""
    if control.status == "failed":
        record.parts = {"": {}}  # all of it
    about = {
        name
        for name, part in record.parts.items()
        if not judge(part).holds and (control.status != "ok" or not judge(control.result.get(name, {})).holds)
    }
    record.parts = {name: not_covered(NO_GRADIENTS) if name in about else part for name, part in record.parts.items()}
    if missing := verify.uncovered(list(record.parts.values())):
        record.status, record.reason, record.parts = "unsupported", missing, {}
    vars(record).pop("verdict", None)  # that of the parts as they were


def split(task: list[Any]) -> list[list[Any]]:
    """An agreement's usages function by function: one that ends its process costs the others nothing."""
    kind, *rest = task
    if kind != "agreement":
        return [task]
    cases, dtype, names, mistake = rest
    by_method: dict[str, list[str]] = defaultdict(list)
    for name in names:
        by_method[usages()[name].method].append(name)
    return [[kind, cases, dtype, own, mistake] for own in by_method.values()]
