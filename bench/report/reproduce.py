"""The command that measures a record again."""

import functools
import shlex
from typing import Any

from bench.costs.cells import FLOAT32
from bench.proofs.verify import AGREEMENT
from bench.records import schema
from equivalence.measure import HALF, computed_in

RUN = "python -m bench"


@functools.singledispatch
def command(record: Any) -> str:
    """What to type in the project's folder."""
    raise TypeError(f"record: got a {type(record).__name__}, expected one of those that `bench.records.schema` names")


def line(name: str, record: Any, *flags: str, **options: Any) -> str:
    """The command of that name with options as it takes them; the device only where it is not the usual one."""
    options = {"framework": record.framework} | options
    if record.device != "cpu":
        options["device"] = record.device
    given = [part for key, value in options.items() for part in (f"--{key}", str(value))]
    return f"{RUN} {name} {shlex.join([*given, *flags])}"


@command.register
def _(record: schema.ClaimRecord) -> str:
    if record.wrong:
        return line("mutants", record, claim=record.claim, mutant=record.wrong)
    return line("verify", record, claim=record.claim, workload=record.case)


@command.register
def _(record: schema.AgreementRecord) -> str:
    if record.wrong:
        return line("mutants", record, claim=AGREEMENT, mutant=record.wrong)
    half = {"dtype": computed_in(record.dtype)} if computed_in(record.dtype) in HALF else {}
    return line("verify", record, claim=AGREEMENT, method=record.method, workload=record.case, **half)


@command.register
def _(record: schema.CallRecord) -> str:
    if record.wrong:
        return line("mutants", record, claim=AGREEMENT, mutant=record.wrong)
    return line("verify", record, claim=AGREEMENT, method=record.method)


@command.register
def _(record: schema.AtlasRecord) -> str:
    return line("atlas", record, operation=record.operation, mode=record.mode)


@command.register
def _(record: schema.ConformanceRecord) -> str:
    return line("published", record, package=f"{record.package} {record.function}".strip())


@command.register
def _(record: schema.PrecisionRecord) -> str:
    return line("precision", record, workload=record.case, dtype=record.dtype)


@command.register
def _(record: schema.VariationRecord) -> str:
    return line("variations", record, count=1, seed=record.seed)


@command.register
def _(record: schema.CostRecord | schema.ColdRecord) -> str:
    flags = ("--quick",) if getattr(record, "quick", False) else ()
    dtype = {} if record.dtype == FLOAT32 else {"dtype": record.dtype}
    return line("time", record, *flags, mode=record.mode, workload=record.workload, method=record.method, **dtype)


@command.register
def _(record: schema.PeerRecord) -> str:
    return line("peers", record, *(("--quick",) if record.quick else ()), task=record.task)


@command.register
def _(record: schema.SelfCheckRecord) -> str:
    return line("selfcheck", record, workload=record.workload)


@command.register
def _(record: schema.TrainingRecord) -> str:
    flags = [*(("--quick",) if record.quick else ()), *(("--curves",) if record.part == "curve" else ())]
    dtype = {"dtype": record.dtype} if record.dtype in HALF else {}
    return line("train", record, *flags, dataset=record.dataset, regime=record.regime, **dtype)
