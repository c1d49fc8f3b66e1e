"""Commands about numbers: whether claims hold, here or in someone else's code, and whether a mistake would be seen."""

import contextlib
import functools
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.commands import arguments
from bench.commands.measuring import console, finish, located, measured, passes, prepared
from bench.commands.options import (
    HOUR,
    RESULTS,
    Address,
    Claims,
    Device,
    Executors,
    Frameworks,
    Json,
    MemoryLimit,
    Methods,
    Out,
    Precisions,
    Resume,
    Shards,
    Wait,
    Workloads,
)
from bench.proofs import advice, diagnosis, implementation, mutants, precision, template, variations, verify
from bench.proofs.declared import declared
from bench.proofs.implementation import BadImplementation, ImplementationRecord, NotAsDeclared
from bench.report import coverage, terminal, verification
from bench.running.job import Executor
from bench.running.session import Session
from equivalence.cases import REGISTRY
from equivalence.claim import claims
from equivalence.foreign.journal import called, noted, printed
from equivalence.measure import FULL, ROUNDING_UNIT
from equivalence.mutant import Mutant
from equivalence.mutant import mutants as registry
from equivalence.precision import CASES, DTYPES
from equivalence.usages import USAGES


def verify_command(
    framework: Frameworks = None,
    claim: Claims = None,
    method: Methods = None,
    workload: Workloads = None,
    device: Device = "cpu",
    quick: Annotated[bool, typer.Option("--quick", help="Each claim on one case.")] = False,
    dtype: Precisions = None,
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
        here = arguments.executor("local", address, arguments.for_others(memory_limit), wait, console)
        records, given = tried(impl, framework, claim, method, workload, dtype, device, quick, here, json)
        finish(records, json, bool(given) and all(map(passes, records)))
    with prepared(json, out, shard, resume, executor, address, memory_limit, wait) as session:
        records = verified(session, framework, selected(claim, method, workload, quick, dtypes=dtype), device)
    finish(records, json)


def template_command(framework: Frameworks = None) -> None:
    """Print a file to start from for `verify --impl`: the contract's functions, two of them filled in."""
    print(template.text(arguments.only("template", framework)))


def mutants_command(
    framework: Frameworks = None,
    claim: Claims = None,
    mutant: Annotated[list[str] | None, typer.Option("--mutant", help="A planted mistake; repeatable.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="By what verify --quick measures.")] = False,
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
    """Plant mistakes and see which claims reject them. Exit status 1 while any survives, or any claim is idle.

    With --claim the claims are judged: 1 where one rejects nothing, or accepts one of its own wrong variants.
    """
    with prepared(json, out, shard, resume, executor, address, memory_limit, wait) as session:
        chosen = arguments.frameworks(framework, console)
        known = [*claims(), verify.AGREEMENT]
        ids = arguments.known("claim", claim, known) or known
        planted = [registry()[name] for name in arguments.known("mutant", mutant, registry()) or registry()]
        planted = session.shard.of(planted, lambda mutant: mutant.name)  # a mistake's fate is known where it was dealt
        slots = session.executor.slots()
        located(session, device, chosen)
        with tempfile.TemporaryDirectory() as cache:
            if not (jobs := mutants.jobs(chosen, planted, ids, device, len(slots), cache, quick)):
                raise arguments.refuse("nothing to measure: none of these claims uses what these mistakes replace")
            records = measured(session, jobs, slots, verify.records)
    if claim and not mutant:
        good = claims_judged(records, chosen, planted, ids, session.shard.whole)
    else:
        met = {record.wrong for record in records}  # nothing is said of mistakes that these claims do not meet
        planted = [each for each in planted if not claim or each.name in met]
        good = mistakes_judged(records, chosen, planted, [] if mutant or not session.shard.whole else known)
    finish(records, json, good)


def claims_judged(
    records: list[Any], frameworks: list[str], planted: list[Mutant], ids: list[str], whole: bool
) -> bool:
    """Whether each claim rejects all of its own wrong variants and, of all that is planted, something on numbers.

    Printed. Other mistakes are not these claims' to reject.
    """
    left = mutants.survivors(records, frameworks, [mutant for mutant in planted if mutants.owner(mutant) in ids])
    blind = mutants.blind(records, frameworks, ids) if whole else []
    terminal.print_power(console, records, left, blind)
    return not (left or blind)


def mistakes_judged(records: list[Any], frameworks: list[str], planted: list[Mutant], ids: list[str]) -> bool:
    """Whether every mistake is rejected, and every one of these claims is needed for it. Printed."""
    left = mutants.survivors(records, frameworks, planted)
    idle = mutants.idle(records, ids)
    terminal.print_mutants(console, records, left, idle)
    return not (left or idle)


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


def precision_command(
    framework: Frameworks = None,
    workload: Annotated[list[str] | None, typer.Option("--workload", help="digits-mlp, digits-cnn, bert.")] = None,
    dtype: Annotated[
        list[str] | None, typer.Option("--dtype", help="bfloat16, float16, 'mixed bfloat16', …; repeatable.")
    ] = None,
    device: Device = "cpu",
    shard: Shards = "1/1",
    resume: Resume = False,
    memory_limit: MemoryLimit = None,
    wait: Wait = HOUR,
    json: Json = None,
    out: Out = RESULTS,
) -> None:
    """Measure what half precision leaves of each method. Exit status 1 where VAT's default direction is lost."""
    with prepared(json, out, shard, resume, memory_limit=memory_limit, wait=wait) as session:
        chosen = arguments.frameworks(framework, console)
        cases = arguments.known("workload", workload, CASES)
        dtypes = arguments.known("dtype", dtype, (*DTYPES, *FULL))
        slots = session.executor.slots()
        found = located(session, device, chosen)
        if not (jobs := precision.jobs(chosen, cases, dtypes, found, len(slots), session.shard)):
            raise arguments.refuse("nothing to measure in this shard")
        records = measured(session, jobs, slots, precision.records)
    terminal.print_precision(console, records)
    finish(records, json)


def verified(
    session: Session,
    framework: list[str] | None,
    selection: verify.Chosen,
    device: str,
) -> list[Any]:
    """Measure, store, print; the records of this run."""
    chosen = arguments.frameworks(framework, console)
    slots = session.executor.slots()
    jobs = verify.jobs(chosen, selection, located(session, device, chosen), len(slots), session.shard)
    if not jobs:
        raise arguments.refuse("nothing to measure: no claim uses these methods on these workloads, in this shard")
    records = measured(session, jobs, slots, verify.records)
    terminal.print_claims(console, records)
    if any(record.kind == "agreement" for record in records):
        terminal.print_agreement(console, records)
    if any(record.kind == "call" for record in records):
        terminal.print_calls(console, records)
    return records


def selected(
    claim: list[str] | None,
    method: list[str] | None,
    workload: list[str] | None,
    quick: bool,
    only: list[str] | None = None,
    dtypes: list[str] | None = None,
) -> verify.Chosen:
    """What the options choose to verify, of all methods or some. Dtypes are agreement's: they choose it alone."""
    stated = [verify.AGREEMENT] if dtypes else [*claims(), verify.AGREEMENT]
    return verify.Chosen(
        claims=frozenset(arguments.known("claim", claim, [*claims(), verify.AGREEMENT]) or stated),
        precisions=frozenset(arguments.known("dtype", dtypes, ROUNDING_UNIT) or FULL),
        methods=frozenset(arguments.known("method", method, only or verify_methods()) or only or ()),
        cases=frozenset(arguments.known("workload", workload, REGISTRY)),
        quick=quick,
    )


def verify_methods() -> list[str]:
    """Methods that some claim or usage measures."""
    named = [usage.method for usage in USAGES] + [name for claim in claims().values() for name in claim.methods]
    return sorted(set(named))


def tried(
    impl: Path,
    framework: list[str] | None,
    claim: list[str] | None,
    method: list[str] | None,
    workload: list[str] | None,
    dtype: list[str] | None,
    device: str,
    quick: bool,
    here: Executor,
    json: Path | None,
) -> tuple[list[Any], list[str]]:
    """Measure someone else's implementation, print what to look at. Nothing is stored: the store is the reference's.

    The records, and which of the file's functions have given a result.
    """
    name = arguments.only("--impl", framework)
    with arguments.refused("--impl", BadImplementation):
        path = implementation.source(impl)
    arguments.frameworks([name], console)
    arguments.device(device, [name])
    arguments.data()
    if json:
        arguments.writable(json, "--json")
    choose = functools.partial(selected, claim, method, workload, quick, dtypes=dtype)
    if not method and (own := declared(path, name, device)):  # else what is refused must be known to be there
        with contextlib.suppress(NotAsDeclared):
            return trial_of(own, impl, choose, here, declared=True)
    with arguments.refused("--impl", BadImplementation):
        own = implementation.contents(path, name, device)
    return trial_of(own, impl, choose, here, declared=False)


def trial_of(
    own: ImplementationRecord, impl: Path, choose: Callable[..., verify.Chosen], here: Executor, declared: bool
) -> tuple[list[Any], list[str]]:
    """Try what is known of a file, or only declared in its text: NotAsDeclared where that turns out not to be so."""

    def meet() -> None:
        introduce(own, impl)

    if not declared:
        meet()
    selection = replace(choose(own.functions), dtypes=own.dtypes)
    session = Session(None, here)
    slots = session.executor.slots()
    with tempfile.TemporaryDirectory() as journal:
        trial = implementation.Trial(own, journal, meet if declared else None)
        if not (jobs := trial.jobs(selection, len(slots))):
            raise arguments.refuse("nothing to measure: no claim uses these functions on these workloads")
        records = measured(session, jobs, slots, trial.records)
        trial.about_gradients(records)
        verification.print_verified(console, records, own.framework)
        given = called(journal)
        unmeasured = sorted(set(own.functions) - set(given))
        coverage.print_aside(console, records, unmeasured, printed(journal), noted(journal))
        trial.count()
        failures = list(advice.failures(records))  # before the records' reasons become the whole explanation
        advised = diagnosis.explain(trial, records, own.functions)
    verification.print_failures(console, failures, advised.values())
    verification.print_remarks(console, own.remarks())
    return [*records, own], given


def introduce(own: ImplementationRecord, impl: Path) -> None:
    """Say what a file replaces, and what of that is not looked at."""
    console.print(f"{impl} replaces {', '.join(own.functions)}")
    if words := own.words():
        console.print(f"it offers {words}")
    if unmeasured := set(own.functions) - set(verify_methods()):
        console.print(f"no claim measures {', '.join(sorted(unmeasured))}", style="yellow")
