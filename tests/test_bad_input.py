"""Bad input changes nothing: whatever a command refuses, no file or folder is made, changed or removed by it."""

import pytest
import typer
from typer.testing import CliRunner

from bench.commands.app import COMMANDS, app
from tests.report.made import of_every_kind, store

BAD = {  # a value that is refused, of every option and argument that can have one
    "framework": "theano",
    "claim": "Z9",
    "method": "fgmm",
    "workload": "nothing",
    "device": "tpu",
    "dtype": "float12",
    "impl": "nowhere.py",
    "mutant": "no such mistake",
    "shard": "3/2",
    "executor": "slurm",
    "memory_limit": "-1",
    "wait": "-1",
    "count": "0",
    "seed": "-1",
    "seeds": "1",
    "file": "nowhere.py",
    "template": "caffe",
    "operation": "no such operation",
    "composition": "XX",
    "mode": "fastest",
    "report": "no such name",
    "package": "no such package",
    "checkpoint": "nowhere",
    "blocks": "0",
    "sweep": "time",
    "task": "chess",
    "runs": "0",
    "rounds": "1",
    "dataset": "mnist",
    "regime": "magic",
    "clue": "nowhere",
    "plan": "no such plan",
    "strengths": "fgm=strong",
    "table": "nowhere.csv",
    "labels": "1",
    "length": "2",
    "epochs": "0",
    "folder": "file/tables",
    "folders": "nowhere",
    "form": "xlsx",
    "base": "nowhere",
    "new": "nowhere",
    "fresh": "nowhere",
    "json": "file/records.json",
    "html": "file/page.html",
    "markdown": "file/changes.md",
    "out": "file/results",
}
# Flags, and what is looked at where another option is given: the address of a cluster, a column of a table.
WITHOUT = {
    "quick", "resume", "cold", "curves", "skip_bad_lines", "fail_on_new", "thorough", "skip_damaged", "confirm",
    "allow_missing", "times", "claims", "address", "encoding", "text", "label",
}  # fmt: skip
GIVEN = {  # what a command cannot do without
    "impl": ["--framework", "torch"],
    "html": ["file"],
    "json": [],
}
NEEDED = {"base": "results", "new": "results", "folders": "results", "folder": "tables", "file": "file"}
PARAMETERS = [
    (name, each)
    for name, command in typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
    for each in command.params
    if each.name not in {"help", *WITHOUT}
]


def words(command, bad):
    """A command line with one bad value: for what it needs besides, what is there."""
    found = [command]
    for each in (each for name, each in PARAMETERS if name == command):
        if each is bad:
            found += [*each.opts[:1], BAD[each.name]] if each.param_type_name == "option" else [BAD[each.name]]
        elif each.param_type_name == "argument" and each.required:
            found.append(NEEDED[each.name])
        elif each.required:
            found += [each.opts[0], "elsewhere"]
    return found + GIVEN.get(bad.name, [])


def contents(folder):
    """Every file with what is in it, and every folder."""
    return {path.relative_to(folder): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize(("command", "bad"), PARAMETERS, ids=[f"{name}-{each.name}" for name, each in PARAMETERS])
@pytest.mark.usefixtures("framework")
def test_bad_input_changes_nothing(command, bad, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    store(tmp_path / "results", of_every_kind())
    before = contents(tmp_path)
    said = CliRunner().invoke(app, words(command, bad))
    assert said.exit_code == 2, said.output
    assert contents(tmp_path) == before


def test_every_command_is_here():
    assert {name for name, _ in PARAMETERS} == set(COMMANDS) - {"list"}
