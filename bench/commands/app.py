"""The command line: `python -m bench verify | mutants | time | report | run`, and what `--help` names besides."""

from collections.abc import Callable

import typer
from rich.table import Table

from bench.commands import arguments, checking, comparing, costing, reporting, training, verifying
from bench.commands.atlas import atlas_command
from bench.commands.conforming import published_command
from bench.commands.costing import timed
from bench.commands.ending import end_in_order
from bench.commands.measuring import console, finish, prepared
from bench.commands.options import HOUR, RESULTS, Device, Frameworks, Json, MemoryLimit, Out, Resume, Wait
from bench.commands.training import trained
from bench.commands.verifying import verified, verify_methods
from bench.costs import cells, growth, timing
from bench.proofs import verify
from bench.report import terminal
from bench.train import study
from bench.train.datasets import DATASETS
from bench.train.regimes import REGIMES
from equivalence.atlas import FAMILIES
from equivalence.cases import REGISTRY
from equivalence.claim import claims
from equivalence.measure import ROUNDING_UNIT

app = typer.Typer(
    help="Are perturbations penalties? Measured, timed and reported.", no_args_is_help=True, rich_markup_mode=None
)


def list_command() -> None:
    """Name the claims, methods, cases and workloads."""
    table = Table(box=None, title="claims", title_justify="left")
    for claim in claims().values():
        table.add_row(claim.id, claim.title)
    table.add_row(verify.AGREEMENT, "Every method agrees with the oracle, in value and parameter gradient")
    console.print(table)
    for title, names in (
        ("methods to verify", verify_methods()),
        ("families of the atlas", FAMILIES),
        ("methods to time", cells.TIMED),
        ("cases", REGISTRY),
        ("workloads", cells.WORKLOADS),
        ("sweeps", growth.SWEEPS),
        ("data sets", DATASETS),
        ("regimes", REGIMES),
        ("frameworks installed", arguments.impls.installed()),
    ):
        console.print(f"{title}: {', '.join(names)}")


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
    with arguments.extra("report"):
        from bench.report import page
    ids = frozenset([*claims(), verify.AGREEMENT])
    everything = verify.Chosen(ids, precisions=frozenset(ROUNDING_UNIT))
    with prepared(json, out, resume=resume, memory_limit=memory_limit, wait=wait) as session:
        records = verified(session, framework, everything, device)
        records += timed(session, framework, None, None, None, device, timing.How(1, quick=True, cold=False))
        first = arguments.frameworks(framework, console)[0]
        records += trained(session, study.planned(first, (), (), study.SEEDS, device, True, None, False))
        terminal.print_effects(console, records)
    page.write(out)
    console.print(f"report: {out / 'README.md'}, {out / 'index.html'}")
    finish(records, json)


COMMANDS: dict[str, Callable[..., None]] = {  # in the order in which `--help` names them
    "verify": verifying.verify_command,
    "template": verifying.template_command,
    "mutants": verifying.mutants_command,
    "variations": verifying.variations_command,
    "precision": verifying.precision_command,
    "check": checking.check_command,
    "atlas": atlas_command,
    "published": published_command,
    "time": costing.time_command,
    "grow": costing.grow_command,
    "peers": costing.peers_command,
    "selfcheck": costing.selfcheck_command,
    "train": training.train_command,
    "merge": reporting.merge_command,
    "compact": reporting.compact_command,
    "report": reporting.report_command,
    "export": reporting.export_command,
    "compare": comparing.compare_command,
    "gate": comparing.gate_command,
    "list": list_command,
    "run": run_command,
}
for name, command in COMMANDS.items():
    app.command(name)(end_in_order(command))
