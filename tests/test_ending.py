"""Commands end in order: in words, with the documented exit status; files are replaced whole or stay as they were."""

import errno
import io
import os
import re
import signal
import subprocess
import sys

import pytest
import typer
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from bench.__main__ import main
from bench.commands.app import app
from bench.commands.ending import end_in_order
from bench.commands.screen import Screen
from bench.places import PYTHON, ROOT
from bench.records import files

HOSTILE = ("[/red]", "[bold]x", "[link=file:///]x[/link]", "\x1b[31mx", "a]b[c", "[red]", "\\[x]")


@pytest.mark.usefixtures("framework")
@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("option", ["--claim", "--framework", "--method"])
def test_text_of_others_is_text(option, text, tmp_path):
    said = CliRunner().invoke(app, ["verify", option, text, "--out", str(tmp_path)])
    assert said.exit_code == 2 and f"got {text!r}" in said.output.replace("\n", "")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_what_the_system_refuses_is_one_sentence(code, capsys):
    def fail():
        raise OSError(code, os.strerror(code), "records.jsonl")

    with pytest.raises(typer.Exit) as ended:
        end_in_order(fail)()
    assert ended.value.exit_code == 2
    assert (
        f"error: records.jsonl: {os.strerror(code)}. What was written before stays as it is" in capsys.readouterr().err
    )


def test_an_error_of_our_own_is_not_hidden():
    def fail():
        raise OSError(errno.EBADF, "ours")

    with pytest.raises(OSError, match="ours"):
        end_in_order(fail)()


def test_ctrl_c_is_130(capsys):
    def fail():
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as ended:
        end_in_order(fail)()
    assert ended.value.exit_code == 130 and "interrupted" in capsys.readouterr().err


def test_ctrl_c_while_options_are_read_is_130(monkeypatch, capsys):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.commands.app.app", interrupted)
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().err) == (130, "")


@pytest.mark.skipif(os.name == "nt", reason="no such signal")
def test_ctrl_c_while_packages_are_read_is_130_without_a_traceback():
    """The command is interrupted as soon as it runs at all. What is started in the background may ignore the signal."""
    code = "import os, signal, sys; sys.argv[1:] = ['list']; " + (
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "import builtins; real = builtins.__import__; "
        "builtins.__import__ = lambda name, *rest: os.kill(os.getpid(), signal.SIGINT) or real(name, *rest)"
        " if name == 'typer' else real(name, *rest); "
        "from bench.__main__ import main; main()"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (130, "")


@pytest.mark.skipif(os.name == "nt", reason="no such pipe")
def test_a_reader_who_has_enough_is_no_fault():
    with subprocess.Popen(
        [*PYTHON, "-m", "bench", "list"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as ended:
        ended.stdout.close()
        assert (ended.stderr.read(), ended.wait()) == (b"", 0)


def test_a_file_is_replaced_whole_or_stays(tmp_path):
    path = tmp_path / "history.csv"
    files.replace(path, "all of it\n")

    def half(unfinished):
        unfinished.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        files.replace_by(path, half)
    assert path.read_text() == "all of it\n" and list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_has_left_is_cleared_and_what_a_living_one_writes_stays(tmp_path):
    path = tmp_path / "a [page].html"
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    left, living, other = (tmp_path / f".{path.name}.{end}" for end in (gone.pid, os.getppid(), "old"))
    for each in (left, living, other):
        each.touch()
    files.replace(path, "whole")
    assert set(tmp_path.iterdir()) == {path, living, other}


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit on the size of files")
def test_a_full_disk_leaves_what_was_there(tmp_path):
    """A limit on the size of files stands for the disk."""
    path = tmp_path / "index.html"
    path.write_text("the old page")
    code = (
        "import pathlib, resource, signal, sys; from bench.records import files; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); "
        "files.replace(pathlib.Path(sys.argv[1]), 'x' * 10**6)"
    )
    ended = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True)
    assert "File too large" in ended.stderr and path.read_text() == "the old page"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("terminal", [True, False])
def test_no_text_tells_the_terminal_what_to_do(terminal):
    """A reason, a cell or a name with an escape sequence is shown as letters; Rich's own sequences stay."""
    output = io.StringIO()
    screen = Screen(file=output, width=60, force_terminal=terminal, color_system="standard" if terminal else None)
    table = Table(title="a\x1b]0;title\x07")
    table.add_column("b\x9b31m")
    table.add_row(Text("c\x00\x1b[31m", style="red"))
    screen.print(table)
    screen.print("d\x1b[2Je\tf\r")
    said = output.getvalue()
    assert "a]0;title" in said and "b31m" in said and "c[31m" in said and "d[2Je" in said
    assert not set(re.sub("\x1b\\[[0-9;]*m", "", said)) & {"\x1b", "\x07", "\x9b", "\x00", "\r"}
    assert ("\x1b[31mc[31m" in said) == terminal
