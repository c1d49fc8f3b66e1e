"""Commands about time and memory."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import peers
from bench.commands import arguments
from bench.commands.measuring import console, finish, located, measured, prepared
from bench.commands.options import (
    HOUR,
    RESULTS,
    Address,
    Device,
    Executors,
    Frameworks,
    Json,
    MemoryLimit,
    Methods,
    Modes,
    Out,
    Quick,
    Resume,
    Shards,
    Wait,
    Workloads,
)
from bench.costs import cells, growth, selfcheck, timing
from bench.peers import timing as match
from bench.records.machine import cores
from bench.report import terminal
from bench.running.session import Session
from equivalence.measure import HALF, MIXED, ROUNDING_UNIT


def time_command(
    framework: Frameworks = None,
    method: Methods = None,
    workload: Workloads = None,
    mode: Modes = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder or .safetensors file of a BERT: its steps are timed.")
    ] = None,
    device: Device = "cpu",
    dtype: Annotated[
        str, typer.Option(help="float32, float64, bfloat16 or float16; 'mixed bfloat16': as the framework mixes them.")
    ] = cells.FLOAT32,
    quick: Quick = False,
    blocks: Annotated[int, typer.Option(min=1, help="Processes that a ratio is the mean of.")] = timing.BLOCKS,
    cold: Annotated[bool, typer.Option(help="Also what compiling takes, and memory.")] = True,
    shard: Shards = "1/1",
    resume: Resume = False,
    executor: Executors = "local",
    address: Address = "auto",
    memory_limit: MemoryLimit = None,
    wait: Wait = HOUR,
    json: Json = None,
    out: Out = RESULTS,
) -> None:
    """Time training steps, each checked against the oracle first. Exit status 1 where a cell has no time."""
    how = timing.How(1 if quick else blocks, quick, cold and not quick)
    with prepared(json, out, shard, resume, executor, address, memory_limit, wait) as session:
        records = timed(session, framework, method, workload, mode, device, how, checkpoint, dtype)
    finish(records, json)


def grow_command(
    sweep: Annotated[list[str] | None, typer.Option("--sweep", help="What grows; repeatable.")] = None,
    framework: Frameworks = None,
    device: Device = "cpu",
    blocks: Annotated[int, typer.Option(min=1, help="Processes that an exponent is the mean of.")] = timing.BLOCKS,
    shard: Shards = "1/1",
    resume: Resume = False,
    executor: Executors = "local",
    address: Address = "auto",
    memory_limit: MemoryLimit = None,
    wait: Wait = HOUR,
    json: Json = None,
    out: Out = RESULTS,
) -> None:
    """Time steps at growing sizes of a batch, a model or a method. Exit status 1 where one has no time."""
    with prepared(json, out, shard, resume, executor, address, memory_limit, wait) as session:
        chosen = arguments.frameworks(framework, console)
        found = located(session, device, chosen)
        sweeps = arguments.known("sweep", sweep, growth.SWEEPS) or list(growth.SWEEPS)
        planned = [cell for name in sweeps for each in chosen for cell in growth.SWEEPS[name].cells(each, found)]
        records = timed_cells(session, planned, found, timing.How(blocks, quick=True, cold=False))
    terminal.print_growth(console, records)
    finish(records, json)


def peers_command(
    task: Annotated[list[str] | None, typer.Option("--task", help="A job that packages do; repeatable.")] = None,
    framework: Frameworks = None,
    device: Device = "cpu",
    quick: Annotated[bool, typer.Option("--quick", help="One workload a task, one block, few samples.")] = False,
    blocks: Annotated[int, typer.Option(min=1, help="Processes that a ratio is the mean of.")] = timing.BLOCKS,
    shard: Shards = "1/1",
    resume: Resume = False,
    memory_limit: MemoryLimit = None,
    wait: Wait = HOUR,
    json: Json = None,
    out: Out = RESULTS,
) -> None:
    """Time other packages on the same job, each result checked first. Exit status 1 where an arm is wrong or fails."""
    with prepared(json, out, shard, resume, memory_limit=memory_limit, wait=wait) as session:
        chosen = arguments.frameworks(framework, console)
        tasks = arguments.known("task", task, peers.TASKS) or list(peers.TASKS)
        planned = match.plan(chosen, tasks, located(session, device, chosen), quick)
        planned = session.shard.of(planned, lambda each: (each.task, each.workload, each.framework))
        if not planned:
            raise arguments.refuse("nothing to time: no package does these tasks in these frameworks, in this shard")
        with tempfile.TemporaryDirectory() as folder:
            with console.status("the oracle computes what the arms must give"):
                match.expect(planned)
            jobs = match.jobs(planned, Path(folder), timing.How(1 if quick else blocks, quick))
            records = measured(session, jobs, [cores()], lambda outcome: [match.record(outcome)], device)
    terminal.print_peers(console, records)
    finish(records, json)


def selfcheck_command(
    framework: Frameworks = None,
    workload: Annotated[str, typer.Option(help="The workload whose plain step is timed.")] = "digits-mlp",
    runs: Annotated[int, typer.Option(min=1, help="Comparisons of each kind.")] = selfcheck.RUNS,
    resume: Resume = False,
    wait: Wait = HOUR,
    json: Json = None,
    out: Out = RESULTS,
) -> None:
    """Time a step beside itself and beside one slowed by a tenth. Exit status 1 unless every run tells them apart."""
    with prepared(json, out, resume=resume, wait=wait) as session:
        chosen = arguments.frameworks(framework, console)[0]
        (name,) = arguments.known("workload", [workload], cells.WORKLOADS)
        with tempfile.TemporaryDirectory() as folder:
            files = timing.expectations([selfcheck.plain_cell(chosen, name)], Path(folder))
            jobs = selfcheck.jobs(chosen, name, files[name], Path(folder), runs)
            records = measured(session, jobs, [cores()], lambda outcome: [selfcheck.record(outcome)], "cpu")
    terminal.print_selfcheck(console, records)
    finish(records, json, selfcheck.holds(records))


def timed(
    session: Session,
    framework: list[str] | None,
    method: list[str] | None,
    workload: list[str] | None,
    mode: list[str] | None,
    device: str,
    how: timing.How,
    checkpoint: Path | None = None,
    dtype: str = cells.FLOAT32,
) -> list[Any]:
    """Time, store, print; the records of this run."""
    chosen = arguments.frameworks(framework, console)
    named = arguments.known("method", method, cells.NAMED)
    methods = list(dict.fromkeys(["plain", *named])) if named else None  # plain: the noise floor
    workloads = arguments.workloads(workload, checkpoint) or None
    modes = arguments.known("mode", mode, cells.every_mode()) or None
    (number,) = arguments.known("dtype", [dtype], [*ROUNDING_UNIT, *(MIXED + half for half in HALF)])
    planned = cells.plan(chosen, methods, workloads, located(session, device, chosen), how.quick, modes, number)
    records = timed_cells(session, planned, device, how)
    terminal.print_costs(console, records)
    return records


def timed_cells(session: Session, planned: list[cells.Cell], device: str, how: timing.How) -> list[Any]:
    """Time this shard's part, each step beside what the oracle expects, and store; the records of this run."""
    planned = session.shard.of(planned, lambda cell: (cell.workload, cell.framework, cell.mode))
    if not planned:
        raise arguments.refuse(
            "nothing to time: none of these methods runs in these modes on these workloads, in this shard"
        )
    with tempfile.TemporaryDirectory() as folder:
        with console.status("the oracle computes what the steps must give"):
            files = timing.expectations(planned, Path(folder))
        jobs = timing.jobs(planned, files, Path(folder), how)
        return measured(session, jobs, [cores()], lambda outcome: [timing.record(outcome)], device)
