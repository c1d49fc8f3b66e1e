"""Someone else's implementation: what the file holds, and which units measure it.

The file is only ever imported in a worker, first in one of its own: what it does there ends that worker and no more.
"""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import verify
from bench.arguments import refuse
from bench.executors.local import run
from bench.run import Job, Outcome
from bench.store import cores
from equivalence.foreign.journal import ended_in
from equivalence.usages import usages

IMPORTING, CALL, UNIT = 30.0, 20.0, 60.0  # seconds that an import, one call, a claim on a case may take
OURS = 600.0  # of our own code, which does not hang
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


def functions(path: Path, framework: str, device: str) -> list[str]:
    """The contract's functions that the file has, as a process of its own finds them."""
    heard: list[Any] = []
    unit = ["contents", str(path), IMPORTING]
    job = Job(WORKER, framework, {"device": device}, [unit], limit=IMPORTING + 2)  # Python code is stopped before
    run([job], [cores()], heard.append)
    outcome = heard[-1]
    if outcome.status != "ok":
        died = outcome.reason.removeprefix("the worker died: ")
        ended = f"ended its process when it was imported: {died}" if died != outcome.reason else outcome.reason
        raise refuse(f"--impl: {path}: {ended}")
    return outcome.result["functions"]


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
        return [self.job(dealt) for share in range(shares) if (dealt := found[share::shares])]

    def job(self, units: list[Any], clean: bool = False) -> Job:
        """Units for one process, with the file's functions; a clean one knows nothing of the file."""
        if clean:
            arguments = {name: value for name, value in self.arguments.items() if name != "implementation"}
            return Job(WORKER, self.framework, arguments, units, OURS)
        return Job(WORKER, self.framework, self.arguments, units, UNIT)

    def records(self, outcome: Outcome) -> list[Any]:
        """As for the reference; of a process that ended, the function that it was in."""
        gone = {process: name for process, name in ended_in(self.journal).items() if process not in self.told}
        self.told |= gone.keys()
        if gone and outcome.status != "ok":
            outcome = replace(outcome, reason=f"{' or '.join(set(gone.values()))} was running: {outcome.reason}")
        return verify.records(outcome)


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
