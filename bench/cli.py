"""The command line: `python -m bench verify | mutants | time | report | run`, and what `--help` names besides."""

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench import (
    arguments,
    cells,
    growth,
    implementation,
    locks,
    mutants,
    peers,
    selfcheck,
    template,
    timing,
    variations,
    verify,
)
from bench import merge as merging
from bench.peers import timing as match
from bench.report import advice, compare, export, page, tables, terminal
from bench.run import Executor, Job, Outcome, Unusable
from bench.session import Session
from bench.staleness import Codes
from bench.store import FILES, Store, cores, describe
from bench.train import study
from bench.train.data import DATASETS, EPOCHS, SENTENCE
from bench.train.regimes import REGIMES
from equivalence.cases import REGISTRY
from equivalence.claim import claims
from equivalence.mutant import mutants as registry
from equivalence.usages import USAGES

app = typer.Typer(help="Are perturbations penalties? Measured, timed and reported.", no_args_is_help=True)
console = Console(width=None if os.isatty(1) else 100)

Frameworks = Annotated[list[str] | None, typer.Option("--framework", help="torch, jax or tensorflow; repeatable.")]
Claims = Annotated[
    list[str] | None, typer.Option("--claim", help="A claim's id, F for agreement, L for own losses; repeatable.")
]
Methods = Annotated[list[str] | None, typer.Option("--method", help="A method; repeatable.")]
Workloads = Annotated[list[str] | None, typer.Option("--workload", help="A workload or case; repeatable.")]
Device = Annotated[str, typer.Option(help="cpu or cuda.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the records of this run to a file.")]
Out = Annotated[Path, typer.Option(help="Folder of records and reports.")]
Quick = Annotated[bool, typer.Option("--quick", help="One workload, one mode a framework, few samples.")]
Shards = Annotated[str, typer.Option("--shard", metavar="I/N", help="The I-th of N parts, for one of N machines.")]
Resume = Annotated[bool, typer.Option("--resume", help="Do not repeat what this code has measured here already.")]
Executors = Annotated[str, typer.Option("--executor", help="local or ray.")]
Address = Annotated[str, typer.Option(help="Of the Ray cluster: HOST:PORT, or auto on one of its nodes.")]
MemoryLimit = Annotated[
    float | None, typer.Option("--memory-limit", min=0.0, help="GiB that a worker may hold; it is ended beyond.")
]
Wait = Annotated[
    float, typer.Option(min=0.0, help="Seconds to wait for a device that another run is timing on; 0: do not wait.")
]
RESULTS = Path("results")
HOUR = 3600.0
INTERRUPTED = 130  # exit status, as of a program that Ctrl-C ends


@app.command("verify")
def verify_command(
    framework: Frameworks = None,
    claim: Claims = None,
    method: Methods = None,
    workload: Workloads = None,
    device: Device = "cpu",
    quick: Annotated[bool, typer.Option("--quick", help="Each claim on one case.")] = False,
    impl: Annotated[Path | None, typer.Option("--impl", help="A Python file: verify its functions instead.")] = None,
    shard: Shards = "1/1",
    resume: Resume = False,
    executor: Executors = "local",
    address: Address = "auto",
    memory_limit: MemoryLimit = None,
    wait: Wait = HOUR,
    json: Json = None,
    out: Out = RESULTS,
) -> None:
    """Measure the claims and the frameworks' agreement with the oracle. Exit status 1 where something does not hold."""
    if impl:
        here = arguments.executor("local", address, memory_limit, wait, console)
        finish(tried(impl, framework, claim, method, workload, device, quick, here, json, out), json)
    with prepared(json, out, shard, resume, executor, address, memory_limit, wait) as session:
        records = verified(session, framework, claim, method, workload, device, quick)
    finish(records, json)


@app.command("template")
def template_command(framework: Frameworks = None) -> None:
    """Print a file to start from for `verify --impl`: the contract's functions, two of them filled in."""
    print(template.text(arguments.only("template", framework)))


@app.command("mutants")
def mutants_command(
    framework: Frameworks = None,
    claim: Claims = None,
    mutant: Annotated[list[str] | None, typer.Option("--mutant", help="A planted mistake; repeatable.")] = None,
    device: Device = "cpu",
    shard: Shards = "1/1",
    resume: Resume = False,
    executor: Executors = "local",
    address: Address = "auto",
    memory_limit: MemoryLimit = None,
    wait: Wait = HOUR,
    json: Json = None,
    out: Out = RESULTS,
) -> None:
    """Plant mistakes and see which claims reject them. Exit status 1 while any survives, or any claim is idle."""
    with prepared(json, out, shard, resume, executor, address, memory_limit, wait) as session:
        chosen = arguments.frameworks(framework, console)
        known = [*claims(), verify.AGREEMENT]
        ids = arguments.known("claim", claim, known) or known
        planted = [registry()[name] for name in arguments.known("mutant", mutant, registry()) or registry()]
        planted = session.shard.of(planted, lambda mutant: mutant.name)  # a mistake's fate is known where it was dealt
        slots = session.executor.slots()
        located(session, device, chosen)
        with tempfile.TemporaryDirectory() as cache:
            if not (jobs := mutants.jobs(chosen, planted, ids, device, len(slots), cache)):
                raise arguments.refuse("nothing to measure: none of these claims uses what these mistakes replace")
            records = measured(session, jobs, slots, verify.records)
    if claim:  # nothing is said of mistakes that these claims do not meet
        met = {record.wrong for record in records}
        planted = [each for each in planted if each.name in met]
    left = mutants.survivors(records, chosen, planted)
    idle = [] if claim or mutant or not session.shard.whole else mutants.idle(records, known)
    terminal.print_mutants(console, records, left, idle)
    finish(records, json, not (left or idle))


@app.command("variations")
def variations_command(
    framework: Frameworks = None,
    count: Annotated[int, typer.Option(min=1, help="How many, at least, in each framework.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the first group.")] = 0,
    device: Device = "cpu",
    shard: Shards = "1/1",
    resume: Resume = False,
    executor: Executors = "local",
    address: Address = "auto",
    memory_limit: MemoryLimit = None,
    wait: Wait = HOUR,
    json: Json = None,
    out: Out = RESULTS,
) -> None:
    """Vary right implementations and see that no check refuses one. Exit status 1 at a false alarm."""
    with prepared(json, out, shard, resume, executor, address, memory_limit, wait) as session:
        chosen = arguments.frameworks(framework, console)
        slots = session.executor.slots()
        jobs = variations.jobs(chosen, count, seed, located(session, device, chosen), len(slots), session.shard)
        if not jobs:
            raise arguments.refuse("nothing to vary: there are fewer groups than shards. --count makes more")
        records = measured(session, jobs, slots, variations.records)
    terminal.print_variations(console, records)
    finish(records, json)


@app.command("time")
def time_command(
    framework: Frameworks = None,
    method: Methods = None,
    workload: Workloads = None,
    mode: Annotated[
        list[str] | None, typer.Option("--mode", help="eager, compiled, jit, xla, ...; repeatable.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder or .safetensors file of a BERT: its steps are timed.")
    ] = None,
    device: Device = "cpu",
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
        records = timed(session, framework, method, workload, mode, device, how, checkpoint)
    finish(records, json)


@app.command("grow")
def grow_command(
    sweep: Annotated[list[str] | None, typer.Option("--sweep", help="What grows; repeatable.")] = None,
    framework: Frameworks = None,
    device: Device = "cpu",
    blocks: Annotated[int, typer.Option(min=1, help="Processes that a time is the median of.")] = 1,
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


@app.command("peers")
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


@app.command("selfcheck")
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
            files = timing.expectations([selfcheck.plain(chosen, name)], Path(folder))
            jobs = selfcheck.jobs(chosen, name, files[name], Path(folder), runs)
            records = measured(session, jobs, [cores()], lambda outcome: [selfcheck.record(outcome)], "cpu")
    terminal.print_selfcheck(console, records)
    finish(records, json, selfcheck.holds(records))


@app.command("train")
def train_command(
    framework: Frameworks = None,
    dataset: Annotated[list[str] | None, typer.Option("--dataset", help="A data set; repeatable.")] = None,
    regime: Annotated[list[str] | None, typer.Option("--regime", help="A way to train; repeatable.")] = None,
    seeds: Annotated[int, typer.Option(min=2, help="Of each regime's runs; every regime has the same.")] = study.SEEDS,
    curves: Annotated[
        bool, typer.Option("--curves", help="50 steps in float64 instead, to compare frameworks.")
    ] = False,
    clue: Annotated[Path | None, typer.Option(help="Folder with train.json, dev.json, labels.json of CLUE.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A BERT and its vocab.txt, for --clue.")] = None,
    length: Annotated[int, typer.Option(min=3, help="Word pieces of a sentence, for --clue.")] = SENTENCE,
    epochs: Annotated[int, typer.Option(min=1, help="For --clue.")] = EPOCHS,
    skip_bad_lines: Annotated[bool, typer.Option("--skip-bad-lines", help="Leave them out, for --clue.")] = False,
    device: Device = "cpu",
    quick: Annotated[bool, typer.Option("--quick", help="One data set, three regimes, two seeds, no search.")] = False,
    shard: Shards = "1/1",
    resume: Resume = False,
    executor: Executors = "local",
    address: Address = "auto",
    memory_limit: MemoryLimit = None,
    wait: Wait = HOUR,
    json: Json = None,
    out: Out = RESULTS,
) -> None:
    """Train on real data with every regime, the same seeds for each. Exit status 1 where a run fails."""
    source = arguments.clue(clue, checkpoint, length, epochs, skip_bad_lines)
    names = arguments.known("dataset", dataset, DATASETS)
    regimes = arguments.known("regime", regime, REGIMES)
    with prepared(json, out, shard, resume, executor, address, memory_limit, wait) as session:
        records = []
        for each in arguments.frameworks(framework, console)[: None if curves or framework else 1]:
            planned = study.planned(
                each, names, regimes, seeds, located(session, device, [each]), quick, source, curves
            )
            records += trained(session, planned, curves)
    terminal.print_effects(console, records)
    finish(records, json)


@app.command("merge")
def merge_command(
    folders: Annotated[list[Path], typer.Argument(help="Folders of results: of shards, of machines.")],
    out: Annotated[Path, typer.Option(help="Folder that they are merged into, with what it holds already.")],
    skip_damaged: Annotated[bool, typer.Option("--skip-damaged", help="Leave damaged lines out.")] = False,
) -> None:
    """Merge the records of several folders: the newest of each on each machine. Exit status 2 if one is no good."""
    with writing(out):
        for folder in folders:
            if not list(arguments.readable(folder).glob(FILES)):
                raise arguments.refuse(
                    f"merge: {folder}: expected a folder of results, with MACHINE/records.jsonl in it"
                )
        problems = merging.problems([*folders, out])
        for problem in problems:
            console.print(f"[yellow]{problem}[/yellow]", highlight=False)
        if problems and not skip_damaged:
            raise arguments.refuse("merge: nothing was merged. --skip-damaged merges the rest of damaged files")
        for machine, count in merging.merge(folders, out).items():
            console.print(f"{out / machine}: {count} records", highlight=False)


@app.command("report")
def report_command(out: Out = RESULTS) -> None:
    """Write tables and figures from the records alone."""
    problems = page.write(arguments.writable(arguments.readable(out), folder=True))
    for problem in problems:
        console.print(f"[yellow]{problem}[/yellow]", highlight=False)
    console.print(f"report: {out / 'README.md'}, {out / 'index.html'}")
    raise typer.Exit(1 if problems else 0)


@app.command("export")
def export_command(
    folder: Annotated[Path, typer.Argument(help="Where the files go.")],
    form: Annotated[str, typer.Option("--format", help="parquet or csv.")] = "parquet",
    out: Out = RESULTS,
) -> None:
    """Write the records as tables for analysis, a file a kind, and what each column means."""
    [form] = arguments.known("format", [form], export.WRITERS)
    arguments.writable(folder, folder=True)
    try:
        counts = export.export(arguments.readable(out), folder, cast(export.Format, form))
    except (ValueError, FileNotFoundError) as error:
        raise arguments.refuse(str(error)) from None
    for kind, count in counts.items():
        console.print(f"{folder / export.file_name(kind)}.{form}: {count} records", highlight=False)
    console.print(f"{folder / export.DICTIONARY}: what each column means", highlight=False)


@app.command("compare")
def compare_command(
    base: Annotated[str, typer.Argument(help="A folder of results, a commit, or JSON of pytest-benchmark.")],
    new: Annotated[str, typer.Argument(help="Likewise, what came after it.")],
    fresh: Annotated[list[str] | None, typer.Argument(help="Further runs of the new code, measured afresh.")] = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="Measure afresh, twice, what seems slower.")] = False,
    markdown: Annotated[Path | None, typer.Option(help="Write the changes as Markdown.")] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write the changes as JSON.")] = None,
) -> None:
    """What started to fail, what got slower. Exit status 1 on a regression: slower is one when found twice more."""
    for path in (markdown, json):
        if path:
            arguments.writable(path, folder=False)
    try:
        sides = [compare.results(source) for source in (base, new, *(fresh or []))]
    except compare.Unreadable as error:
        raise arguments.refuse(str(error)) from None
    old, now, *again = sides
    again += afresh(old, now) if confirm else []
    found = compare.compare(old, now, again)
    for side in (old, now, *again):
        for problem in side.problems:
            console.print(f"[yellow]{side.name}: {problem}[/yellow]", highlight=False)
    terminal.show(console, compare.table(found))
    for path, write in ((markdown, compare.markdown_text), (json, compare.json_text)):
        if path:
            path.write_text(write(old, now, found), encoding="utf-8")
    regressions = sum(change.regression for change in found)
    console.print(f"{regressions} regressions, {len(found)} changes")
    raise typer.Exit(1 if regressions else 0)


def afresh(base: compare.Results, new: compare.Results) -> list[compare.Results]:
    """Further runs of what seems slower, and of the plain steps beside it, here and with this code."""
    here = describe()
    suspects = [change.what for change in compare.slowed(base, new, ()) if change.change.startswith("slower")]
    times = new.times.get(here.machine, {})
    if not (chosen := [times[name] for name in suspects if name in times and times[name].cell]):
        return []
    if any(timed.code != Codes()["cost"] for timed in chosen):
        raise arguments.refuse(f"--confirm: {new.name} was measured with other code than this: check that out first")
    device = chosen[0].cell[-1]
    steps = [step for timed in chosen for step in (("plain", *timed.cell[1:]), timed.cell) if step[-1] == device]
    planned = [cells.Cell(*step) for step in dict.fromkeys(steps)]
    found = []
    for number in range(1, compare.FRESH + 1):
        console.print(f"afresh, {number} of {compare.FRESH}: {len(planned)} steps")
        with tempfile.TemporaryDirectory() as folder:
            with prepared(None, Path(folder)) as session:
                timed_cells(session, planned, device, timing.How(cold=False))
            found.append(compare.of_folder(Path(folder), f"afresh {number}"))
    return found


@app.command("list")
def list_command() -> None:
    """Name the claims, methods, cases and workloads."""
    table = Table(box=None, title="claims", title_justify="left")
    for claim in claims().values():
        table.add_row(claim.id, claim.title)
    table.add_row(verify.AGREEMENT, "Every method agrees with the oracle, in value and parameter gradient")
    table.add_row(verify.OWN_LOSSES, "Which of the frameworks' own losses can be differentiated twice")
    console.print(table)
    for title, names in (
        ("methods to verify", verify_methods()),
        ("methods to time", cells.TIMED),
        ("cases", REGISTRY),
        ("workloads", cells.WORKLOADS),
        ("sweeps", growth.SWEEPS),
        ("data sets", DATASETS),
        ("regimes", REGIMES),
        ("frameworks installed", arguments.impls.installed()),
    ):
        console.print(f"{title}: {', '.join(names)}", highlight=False)


@app.command("run")
def run_command(
    framework: Frameworks = None,
    device: Device = "cpu",
    resume: Resume = False,
    memory_limit: MemoryLimit = None,
    wait: Wait = HOUR,
    json: Json = None,
    out: Out = RESULTS,
) -> None:
    """Verify, time and train quickly, report."""
    everything = [*claims(), verify.AGREEMENT, verify.OWN_LOSSES]
    with prepared(json, out, resume=resume, memory_limit=memory_limit, wait=wait) as session:
        records = verified(session, framework, everything, None, None, device, quick=False)
        records += timed(session, framework, None, None, None, device, timing.How(1, quick=True, cold=False))
        first = arguments.frameworks(framework, console)[0]
        records += trained(session, study.planned(first, (), (), study.SEEDS, device, True, None, False))
        terminal.print_effects(console, records)
    page.write(out)
    console.print(f"report: {out / 'README.md'}, {out / 'index.html'}")
    finish(records, json)


def trained(session: Session, planned: study.Study, curves: bool = False) -> list[Any]:
    """Search for strengths, train, judge; or the curves alone. The records of what the tables rest on."""

    def done(units: list[study.Unit], part: study.Part) -> list[Any]:
        mine = session.shard.of(units, lambda unit: unit[0])  # the search is a data set's own
        with tempfile.TemporaryDirectory() as caches:
            jobs = study.jobs(planned, mine, part, caches)
            slots = session.executor.slots()
            return measured(session, jobs, slots, lambda outcome: [study.record(outcome)]) if jobs else []

    if curves:
        return done(study.curves(planned), "curve")
    return done(study.final(planned, study.chosen(planned, done(study.tuning(planned), "validation"))), "test")


def verify_methods() -> list[str]:
    """Methods that some claim or usage measures."""
    named = [usage.method for usage in USAGES] + [name for claim in claims().values() for name in claim.methods]
    return sorted(set(named))


@contextlib.contextmanager
def prepared(
    json: Path | None,
    out: Path,
    shard: str = "1/1",
    resume: bool = False,
    executor: str = "local",
    address: str = "auto",
    memory_limit: float | None = None,
    wait: float = HOUR,
) -> Iterator[Session]:
    """Everything that can be refused before any work, then the session; its records are put in order at the end."""
    arguments.data()
    part = arguments.shard(shard)
    if json:
        arguments.writable(json, folder=False)
    with writing(out):
        measuring = arguments.executor(executor, address, memory_limit, wait, console)
        store = Store(out)
        yield Session(store, measuring, part, resume)
        store.compact()


@contextlib.contextmanager
def writing(out: Path) -> Iterator[None]:
    """No other run writes to the folder meanwhile; refused where one does."""
    arguments.writable(arguments.readable(out), folder=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locks.folder(out))
        except locks.Held as error:
            raise arguments.refuse(f"--out: {error}") from None
        yield


def located(session: Session, device: str, chosen: list[str]) -> str:
    """The device, if every framework finds it here, where it is here that is measured."""
    return arguments.device(device, chosen if session.here else [])


def verified(
    session: Session,
    framework: list[str] | None,
    claim: list[str] | None,
    method: list[str] | None,
    workload: list[str] | None,
    device: str,
    quick: bool,
) -> list[Any]:
    """Measure, store, print; the records of this run."""
    chosen = arguments.frameworks(framework, console)
    selection = selected(claim, method, workload, quick)
    slots = session.executor.slots()
    jobs = verify.jobs(chosen, selection, located(session, device, chosen), len(slots), session.shard)
    if not jobs:
        raise arguments.refuse("nothing to measure: no claim uses these methods on these workloads, in this shard")
    records = measured(session, jobs, slots, verify.records)
    terminal.print_claims(console, records)
    if any(record.kind == "agreement" for record in records):
        terminal.print_agreement(console, records)
    if any(record.kind == "own loss" for record in records):
        terminal.print_own_losses(console, records)
    return records


def selected(
    claim: list[str] | None,
    method: list[str] | None,
    workload: list[str] | None,
    quick: bool,
    only: list[str] | None = None,
) -> verify.Chosen:
    """What the options choose to verify, of all methods or some."""
    stated = [
        *claims(),
        verify.AGREEMENT,
    ]  # what the frameworks' own losses can do is no claim: measured where asked for
    return verify.Chosen(
        claims=frozenset(arguments.known("claim", claim, [*stated, verify.OWN_LOSSES]) or stated),
        methods=frozenset(arguments.known("method", method, only or verify_methods()) or only or ()),
        cases=frozenset(arguments.known("workload", workload, REGISTRY)),
        quick=quick,
    )


def tried(
    impl: Path,
    framework: list[str] | None,
    claim: list[str] | None,
    method: list[str] | None,
    workload: list[str] | None,
    device: str,
    quick: bool,
    here: Executor,
    json: Path | None,
    out: Path,
) -> list[Any]:
    """Measure someone else's implementation, print what to look at. Nothing is stored: the store is the reference's."""
    name = arguments.only("--impl", framework)
    path = implementation.source(impl)
    arguments.frameworks([name], console)
    arguments.device(device, [name])
    arguments.data()
    if json:
        arguments.writable(json, folder=False)
    replaced = implementation.functions(path, name, device)
    console.print(f"{impl} replaces {', '.join(replaced)}", highlight=False)
    if unmeasured := set(replaced) - set(verify_methods()):
        console.print(f"[yellow]no claim measures {', '.join(sorted(unmeasured))}[/yellow]", highlight=False)
    selection = selected(claim, method, workload, quick, replaced)
    session = Session(None, here)
    slots = session.executor.slots()
    with tempfile.TemporaryDirectory() as journal:
        trial = implementation.Trial(path, name, device, journal)
        if not (jobs := trial.jobs(selection, len(slots))):
            raise arguments.refuse("nothing to measure: no claim uses these functions on these workloads")
        records = measured(session, jobs, slots, trial.records)
        advice.print_verified(console, records, name)
        failures = list(advice.failures(records))  # before the records' reasons become the whole explanation
        advised = trial.explain(records, replaced, out)
    advice.print_failures(console, failures, advised.values())
    return records


def timed(
    session: Session,
    framework: list[str] | None,
    method: list[str] | None,
    workload: list[str] | None,
    mode: list[str] | None,
    device: str,
    how: timing.How,
    checkpoint: Path | None = None,
) -> list[Any]:
    """Time, store, print; the records of this run."""
    chosen = arguments.frameworks(framework, console)
    named = arguments.known("method", method, cells.TIMED)
    methods = list(dict.fromkeys(["plain", *named])) if named else None  # plain: the noise floor
    workloads = arguments.workloads(workload, checkpoint) or None
    modes = arguments.known("mode", mode, cells.every_mode()) or None
    planned = cells.plan(chosen, methods, workloads, located(session, device, chosen), how.quick, modes)
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


def measured(
    session: Session,
    jobs: list[Job],
    slots: list[list[int]],
    records_of: Callable[[Outcome], list[Any]],
    device: str = "",
) -> list[Any]:
    """Run what is left of the jobs with a progress bar; every record is stored as it comes, where there is a store.

    With a device, nothing else is timed on it meanwhile. Ctrl-C ends with exit status 130, everything stored.
    """
    jobs, records = session.left(jobs, records_of)
    if records:
        console.print(f"{len(records)} records are there already", highlight=False)
    outcomes: list[Outcome] = []
    columns = (TextColumn("{task.description:42.42}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=sum(len(job.units) for job in jobs))

        def say(event: Any) -> None:
            if not isinstance(event, Outcome):
                progress.update(task, description=f"{event.job.framework} {described(event.unit)}")
                return
            progress.advance(task)
            outcomes.append(event)
            for record in records_of(event):
                records.append(record)
                try:
                    if session.store:
                        session.store.append(record, event.environment)
                except OSError as error:  # the disk is full, say
                    raise arguments.refuse(
                        f"--out: {error}. What was written stays; --resume goes on from there"
                    ) from None

        began = time.monotonic()
        try:
            session.executor.run(jobs, slots, say, device)
        except (locks.Held, Unusable) as error:
            raise arguments.refuse(str(error)) from None
        except KeyboardInterrupt:
            done = sum(outcome.status != "interrupted" for outcome in outcomes)
            console.print(f"[red]interrupted[/red] after {done} of {progress.tasks[task].total:.0f}: --resume goes on")
            raise typer.Exit(INTERRUPTED) from None
    terminal.print_spent(console, outcomes, time.monotonic() - began)
    return records


def described(unit: Any) -> str:
    return unit if isinstance(unit, str) else " ".join(str(part) for part in unit[1:] if isinstance(part, str))


def finish(records: list[Any], path: Path | None, good: bool | None = None) -> None:
    """Write the records where asked; exit status 1 unless it is good: by default, where every record is."""
    if path:
        path.write_text(json.dumps([record.model_dump() for record in records], indent=1) + "\n", encoding="utf-8")
    if good is None:
        good = bool(records) and all(map(passes, records))
    raise typer.Exit(0 if good else 1)


def passes(record: Any) -> bool:
    """Measured and right, or there is nothing to be measured: a method that does not apply to a workload."""
    if record.kind in ("cost", "cold", "peer", "own loss"):
        return record.status in ("ok", "unsupported")
    if record.kind == "training":
        return record.status in ("ok", "diverged")
    if record.kind == "variations":
        return record.status == "ok" and record.count > 0 and not record.failures
    return tables.verdict(record).holds
