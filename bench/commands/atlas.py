"""The command about frameworks themselves: which of their higher derivatives are right."""

from typing import Annotated

import typer

from bench.commands import arguments
from bench.commands.measuring import console, finish, measured, prepared
from bench.commands.options import HOUR, RESULTS, Frameworks, Json, MemoryLimit, Out, Resume, Shards, Wait
from bench.proofs import atlas, atlas_script
from bench.report import terminal
from bench.running.session import Session
from equivalence.atlas import entries, families
from equivalence.atlas.compositions import COMPOSITIONS, PENALTY, VALUE

Operations = Annotated[list[str] | None, typer.Option("--operation", help="An operation, layer or family; repeatable.")]


def atlas_command(
    framework: Frameworks = None,
    operation: Operations = None,
    composition: Annotated[
        list[str] | None, typer.Option("--composition", help="R, F, RR, …, or penalty; repeatable. Nothing is stored.")
    ] = None,
    mode: Annotated[list[str] | None, typer.Option("--mode", help="eager, jit, vmap, …; repeatable.")] = None,
    fail_on_new: Annotated[
        bool,
        typer.Option("--fail-on-new", help="Exit status 1 where something is wrong that the published atlas has not."),
    ] = False,
    report: Annotated[
        str | None, typer.Option("--report", metavar="NAME", help="Print a program that shows what is wrong with it.")
    ] = None,
    shard: Shards = "1/1",
    resume: Resume = False,
    memory_limit: MemoryLimit = None,
    wait: Wait = HOUR,
    json: Json = None,
    out: Out = RESULTS,
) -> None:
    """Measure which second and third derivatives of which operations are right. Exit status 0 whatever is found."""
    if report:
        print_programs(arguments.only("--report", framework), report, composition, mode)
        return
    chosen = arguments.frameworks(framework, console)
    selection = selected(chosen, operation, composition, mode)
    with prepared(json, out, shard, resume, memory_limit=memory_limit, wait=wait) as session:
        known = atlas.stored()
        if selection.compositions:  # a part of a record would replace the whole
            session = Session(None, session.executor, session.shard)
        slots = session.executor.slots()
        if not (jobs := atlas.jobs(chosen, selection, len(slots), session.shard)):
            raise arguments.refuse(
                "nothing to measure: no framework has these operations in these modes, in this shard"
            )
        records = measured(session, jobs, slots, atlas.records)
    terminal.print_atlas(console, records)
    fresh = atlas.news(records, known) if fail_on_new else []
    for what in fresh:
        console.print(f"new: {what}", style="red")
    finish(records, json, not fresh and any(record.status == "ok" for record in records))


def selected(
    chosen: list[str], operation: list[str] | None, composition: list[str] | None, mode: list[str] | None
) -> atlas.Chosen:
    """What the options choose, names spelt as they are known."""
    kinds = list(dict.fromkeys(family for framework in chosen for family in families(framework)))
    names = list(dict.fromkeys(name for framework in chosen for name in entries(framework)))
    every = list(dict.fromkeys(each for framework in chosen for each in atlas.modes(framework, every=True)))
    found = arguments.known("operation", operation, [*kinds, *names])
    return atlas.Chosen(
        operations=frozenset(name for name in found if name not in kinds),
        families=frozenset(name for name in found if name in kinds),
        compositions=tuple(arguments.known("composition", composition, COMPOSITIONS)),
        modes=tuple(arguments.known("mode", mode, every)),
    )


def print_programs(framework: str, name: str, composition: list[str] | None, mode: list[str] | None) -> None:
    """A program for the composition and mode that are named, else for the first that the published atlas has wrong."""
    [name] = arguments.known("operation", [name], entries(framework))
    words = [each for each in COMPOSITIONS if each not in (VALUE, PENALTY)]
    wanted = arguments.known("composition", composition, words)
    modes = arguments.known("mode", mode, atlas.modes(framework, every=True))
    if not wanted:
        hurting = [
            (each, record.mode)
            for record in atlas.lookup(framework, name)
            for each in atlas.wrong_in(record)
            if record.operation == name and each in words and (not modes or record.mode in modes)
        ]
        if not hurting:
            raise arguments.refuse(
                f"--report: the published atlas has nothing wrong with {name} in {framework}: name a --composition"
            )
        # The shortest program: as few derivatives as possible, by one mode.
        first, where = min(hurting, key=lambda each: (len(each[0]), len(set(each[0]))))
        wanted, modes = [first], [where]
    print(atlas_script.script(framework, name, wanted[0], (modes or [atlas.modes(framework)[0]])[0]), end="")
