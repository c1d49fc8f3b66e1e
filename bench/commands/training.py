"""The command that trains on real data."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

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
    Out,
    Resume,
    Shards,
    Wait,
)
from bench.records.schema import TrainingRecord
from bench.report import terminal
from bench.running.job import Outcome
from bench.running.session import Session
from bench.train import study, unfinished
from bench.train.datasets import DATASETS, SHIPPED
from bench.train.finetuning import EPOCHS, PACKAGES, SENTENCE
from bench.train.regimes import REGIMES


def train_command(
    framework: Frameworks = None,
    dataset: Annotated[list[str] | None, typer.Option("--dataset", help="A data set; repeatable.")] = None,
    regime: Annotated[list[str] | None, typer.Option("--regime", help="A way to train; repeatable.")] = None,
    seeds: Annotated[int, typer.Option(min=2, help="Of each regime's runs; every regime has the same.")] = study.SEEDS,
    curves: Annotated[
        bool, typer.Option("--curves", help="50 steps in float64 instead, to compare frameworks.")
    ] = False,
    dtype: Annotated[
        str | None, typer.Option(help="bfloat16: each run in bfloat16, too, beside the same in float32.")
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option(help="What was planned before it was run: a name of `docs/training-study.md`, or a file."),
    ] = None,
    strengths: Annotated[
        list[str] | None, typer.Option("--strengths", help='To choose from: "fgm table=0.1,0.3,1"; repeatable.')
    ] = None,
    clue: Annotated[Path | None, typer.Option(help="Folder with train.json, dev.json, labels.json of CLUE.")] = None,
    table: Annotated[Path | None, typer.Option(help="CSV file of texts and labels, with --text and --label.")] = None,
    text: Annotated[str, typer.Option(help="Column of --table.")] = "",
    label: Annotated[str, typer.Option(help="Column of --table.")] = "",
    labels: Annotated[
        list[int] | None,
        typer.Option(min=2, help="So many labels of --clue or --table, the rest unlabelled; repeatable."),
    ] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A BERT and its vocab.txt, for --clue or --table.")] = None,
    length: Annotated[
        int | None, typer.Option(min=3, help=f"Word pieces of a sentence, usually {SENTENCE}; for --clue or --table.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="For --clue or --table.")] = EPOCHS,
    skip_bad_lines: Annotated[
        bool, typer.Option("--skip-bad-lines", help="Leave them out, for --clue or --table.")
    ] = False,
    encoding: Annotated[str, typer.Option(help="Of the files of --clue or --table.")] = "utf-8",
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
    source = arguments.source(clue, table, text, label, checkpoint, length, epochs, skip_bad_lines, encoding)
    names = arguments.known("dataset", dataset, DATASETS)
    regimes = arguments.known("regime", regime, REGIMES)
    grids, followed = arguments.strengths(strengths), arguments.plan(plan)
    if followed and (regimes or grids or quick or curves):
        raise arguments.refuse("--plan says what is trained: leave out --regime, --strengths, --quick and --curves")
    other = arguments.known("dtype", [dtype] if dtype else None, study.DTYPES)
    if curves and other not in ([], [study.FLOAT32]):
        raise arguments.refuse("--dtype: curves compare frameworks in float64; leave out --curves, or --dtype")
    names += arguments.own_texts(source, labels or (), console)
    if {*names, *(followed.datasets if followed and not names else ())} & set(SHIPPED):
        arguments.data(PACKAGES)
    with prepared(json, out, shard, resume, executor, address, memory_limit, wait) as session:
        records = []
        for each in arguments.frameworks(framework, console)[: None if curves or framework else 1]:
            place = located(session, device, [each])
            planned = (
                study.following(followed, each, names, place, source)
                if followed
                else study.planned(each, names, regimes, seeds, place, quick, source, curves, grids)
            )
            records += trained(session, planned, curves, other)
    terminal.print_effects(console, records)
    finish(records, json)


def trained(session: Session, planned: study.Study, curves: bool = False, dtypes: Sequence[str] = ()) -> list[Any]:
    """Search for strengths, train, judge; or the curves alone. The records of what the tables rest on.

    In another dtype than what is planned each run is made in both, with the strengths that were chosen: they are pairs.
    """
    # The search is a data set's own.
    planned = replace(planned, datasets=tuple(session.shard.of(planned.datasets)))
    folder = session.store.out / unfinished.FOLDER if session.store else None

    def kept() -> list[str]:
        return list(unfinished.kept(folder)) if folder else []

    def stored(outcome: Outcome) -> None:
        if folder:
            forget(outcome, folder)

    def done(tasks: list[study.Task], part: study.Part, planned: study.Study = planned) -> list[Any]:
        with tempfile.TemporaryDirectory() as caches:
            jobs = study.jobs(planned, tasks, part, caches, keeping(session, planned, part))
            slots = session.executor.slots()
            if not jobs:
                return []
            ended = measured(session, jobs, slots, lambda outcome: [study.record(outcome)], kept=kept, stored=stored)
            if folder and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
            return ended

    if curves:
        return done(study.curves(planned), "curve")
    tried = done(study.tuning(planned), "validation")
    while further := study.beyond(planned, tried):
        tried += done(further, "validation")
    tasks = study.final(planned, tried)
    done_by = list(dict.fromkeys([planned.dtype, *dtypes]))
    return [record for each in done_by for record in done(tasks, "test", replace(planned, dtype=each))]


def keeping(session: Session, planned: study.Study, part: study.Part) -> dict[str, Any] | None:
    """Where trainings keep what they have done, for the same command with --resume; on this machine alone."""
    if not session.store or not session.here:
        return None
    like = TrainingRecord(
        framework=planned.framework, status="ok", dataset="", regime="", strength=0, seed=0, part=part
    )
    return {
        "folder": str(session.store.out.resolve() / unfinished.FOLDER),
        "code": session.store.codes.of(like),
        "resume": session.resume,
        "every": unfinished.PATIENCE,
    }


def forget(outcome: Outcome, folder: Path) -> None:
    """Remove what a training has kept, now that its record is stored; of one that failed it stays, to be resumed."""
    if outcome.status == "ok":
        place = unfinished.place(folder, outcome.job.framework, outcome.job.arguments, outcome.task)
        place.unlink(missing_ok=True)
