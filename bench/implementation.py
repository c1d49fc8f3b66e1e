"""Someone else's implementation: what the file holds, which units measure it, and where it differs from the reference.

The file is only ever imported in a worker, first in one of its own: what it does there ends that worker and no more.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from bench import verify
from bench.arguments import refuse
from bench.executors.local import run
from bench.mutants import DTYPE
from bench.report import advice
from bench.report.tables import verdict
from bench.resemblance import Pattern, Resemblance, nearest, pattern
from bench.run import Job, Outcome
from bench.store import FILES, AgreementRecord, ClaimRecord, Measured, cores, latest, read
from equivalence.cases import build
from equivalence.claim import claims
from equivalence.foreign.journal import counted, ended_in
from equivalence.mutant import CASE, mutants
from equivalence.usages import usages

IMPORTING, CALL, UNIT = 30.0, 20.0, 60.0  # seconds that an import, one call, a claim on a case may take
FEW = 4  # units that take about as long as starting one more worker
WORKER = "equivalence.worker"


def source(path: Path) -> Path:
    """The file's full path, if it is Python; found out without running any of it."""
    if path.suffix != ".py":
        raise refuse(f"--impl: {path}: expected a Python file, its name ending in .py")
    try:
        compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    except OSError as error:
        raise refuse(f"--impl: {path}: cannot be read: {error.strerror}") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # deep nests end a parser so
        where = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        code = f": `{error.text.strip()}`" if isinstance(error, SyntaxError) and error.text else ""
        what = error.msg if isinstance(error, SyntaxError) else error
        raise refuse(f"--impl: {path}{where}: not Python: {what}{code}") from None
    return path.resolve()


class ImplementationRecord(Measured):
    """A file of someone else's: what it replaces, and what is to be known of it beside its measurements. Not stored."""

    kind: Literal["implementation"] = "implementation"
    path: str
    """The file."""
    functions: list[str]
    """The contract's functions that it has."""
    changes: str = ""
    """What importing it did to its process, in words; that was put back before its functions were called."""
    calls: dict[str, int] = Field(default_factory=dict)
    """How often each function was called."""
    in_reference: dict[str, int] = Field(default_factory=dict)
    """In how many of these calls the reference's function of the same name was entered."""

    def remarks(self) -> Iterator[str]:
        """What is to be known, in sentences."""
        if self.changes:
            yield f"importing it changes {self.changes}; that was put back before its functions were called"
        for name, inside in self.in_reference.items():
            if inside:
                yield f"{name}: {inside} of {self.calls[name]} calls end in the reference"


def contents(path: Path, framework: str, device: str) -> ImplementationRecord:
    """What the file has of the contract, as a process of its own finds it."""
    heard: list[Any] = []
    unit = ["contents", str(path), IMPORTING]
    job = Job(WORKER, framework, {"device": device}, [unit], limit=IMPORTING + 2)  # Python code is stopped before
    run([job], [cores()], heard.append)
    outcome = heard[-1]
    if outcome.status != "ok":
        died = outcome.reason.removeprefix("the worker died: ")
        ended = f"ended its process when it was imported: {died}" if died != outcome.reason else outcome.reason
        raise refuse(f"--impl: {path}: {ended}")
    return ImplementationRecord(framework=framework, device=device, status="ok", path=str(path), **outcome.result)


class Trial:
    """The runs of one file: its jobs, and the records that they give."""

    def __init__(self, path: Path, framework: str, device: str, journal: str):
        self.framework, self.device, self.journal = framework, device, journal
        self.told: set[int] = set()  # processes whose end has been explained
        self.arguments = {
            "device": device,
            "environment": verify.FAST_COMPILATION,
            "implementation": {"path": str(path), "seconds": CALL, "journal": journal},
        }

    def jobs(self, chosen: verify.Chosen, slots: int) -> list[Job]:
        """Every claim and usage of what the file replaces."""
        found = [part for unit in verify.units(chosen) for part in split(unit)]
        shares = min(slots, 1 + len(found) // FEW)
        return [
            Job(WORKER, self.framework, self.arguments, dealt, UNIT)
            for share in range(shares)
            if (dealt := found[share::shares])
        ]

    def records(self, outcome: Outcome) -> list[Any]:
        """As for the reference; of a process that ended, the function that it was in."""
        gone = {process: name for process, name in ended_in(self.journal).items() if process not in self.told}
        self.told |= gone.keys()
        if gone and outcome.status != "ok":
            outcome = replace(outcome, reason=f"{' or '.join(set(gone.values()))} was running: {outcome.reason}")
        return verify.records(outcome)

    def count(self, own: ImplementationRecord) -> None:
        """Note how often the functions were called, and how often in the end it was the reference that was."""
        for name, (calls, in_reference) in counted(self.journal).items():
            own.calls[name], own.in_reference[name] = calls, in_reference

    def explain(self, records: Collection[Any], replaced: Collection[str], out: Path) -> dict[str, str]:
        """What to look at in each function that something which failed uses; the failed records say it too."""
        known = stored(out)
        words = {
            name: advice.about(name, difference, resemblance(records, known, name), self.framework)
            for name, difference in self.differences(records, replaced).items()
            if not any(
                "error" in difference and difference["error"] in record.reason for record in records
            )  # said already
        }
        for record in records:
            if not verdict(record).holds:
                record.reason = advice.explained(record, [said for name, said in words.items() if uses(record, name)])
        return words

    def differences(self, records: Collection[Any], replaced: Collection[str]) -> dict[str, dict[str, Any]]:
        """For each function that something which failed uses: where it first differs from the reference."""
        units = [unit for name in sorted(replaced) if (unit := self.difference(records, name))]
        heard: list[Any] = []
        if units:
            run([Job(WORKER, self.framework, self.arguments, units, UNIT)], [cores()], heard.append)
        outcomes = [event for event in heard if isinstance(event, Outcome)]
        return {
            outcome.unit[1]: {"case": outcome.unit[2], "dtype": outcome.unit[3], **outcome.result}
            if outcome.status == "ok"
            else {"error": outcome.reason}
            for outcome in outcomes
        }

    def difference(self, records: Collection[Any], name: str) -> list[Any]:
        """What to run to find it: the usage that failed first, else all that there are on one case."""
        mine = [record for record in records if uses(record, name)]
        failed = [record for record in mine if isinstance(record, AgreementRecord) and not verdict(record).holds]
        if failed:
            first = max(failed, key=lambda record: record.dtype == DTYPE)  # the first of these, if there is one
            names = [r.usage for r in failed if (r.case, r.dtype) == (first.case, first.dtype)]
            return ["difference", name, first.case, first.dtype, names]
        case = build([CASE])[CASE]
        names = [usage.name for usage in usages().values() if usage.method == name and usage.applies(case)]
        return (
            ["difference", name, CASE, DTYPE, names]
            if names and not all(verdict(record).holds for record in mine)
            else []
        )


def split(unit: list[Any]) -> list[list[Any]]:
    """An agreement's usages function by function: one that ends its process costs the others nothing."""
    kind, *rest = unit
    if kind != "agreement":
        return [unit]
    cases, dtype, names, mistake = rest
    by_method: dict[str, list[str]] = defaultdict(list)
    for name in names:
        by_method[usages()[name].method].append(name)
    return [[kind, cases, dtype, own, mistake] for own in by_method.values()]


def uses(record: Any, name: str) -> bool:
    """Whether a record is of a claim or a usage that is about this function."""
    if isinstance(record, ClaimRecord):
        return name in claims()[record.claim].methods
    return isinstance(record, AgreementRecord) and record.method == name


def resemblance(records: Collection[Any], stored: Collection[Any], name: str) -> Resemblance | None:
    """The known mistake in this function that these records are most like, by what was stored of planted ones."""
    planted: dict[tuple[str, str], list[Any]] = defaultdict(list)
    replaced = {mistake: mutant.methods for mistake, mutant in mutants().items()}
    for record in stored:
        if name in replaced.get(getattr(record, "wrong", ""), ()) and uses(record, name):
            planted[record.wrong, record.framework].append(record)
    known: dict[str, list[Pattern]] = defaultdict(list)
    for (mistake, _), found in planted.items():
        known[mistake].append(pattern(found))
    return nearest(pattern(record for record in records if uses(record, name)), known)


def stored(out: Path) -> list[Any]:
    """What was measured of planted mistakes, on any machine."""
    found = [record for path in sorted(out.glob(FILES)) for record in read(path)[0]]
    return [record for record in latest(found) if getattr(record, "wrong", "")]
