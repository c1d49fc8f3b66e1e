"""What is recorded of this code is its own version, whatever repository it lies in; reports say what they miss."""

import json
import os
import shutil
import subprocess
from types import SimpleNamespace

import pytest
import typer

from bench import places
from bench.commands import arguments
from bench.report import compare
from bench.report.compare import sides


@pytest.fixture
def inside(tmp_path, monkeypatch):
    """This code in a folder of someone else's repository, which has a commit."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "theirs"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(places, "ROOT", tmp_path / "site-packages" / "equireg")
    places.ROOT.mkdir(parents=True)
    return tmp_path


def test_a_repository_around_this_code_is_not_its_history(inside, monkeypatch):
    assert (places.commit(), places.changed(("bench",))) == ("", False)
    monkeypatch.setattr(places, "ROOT", inside)  # where it is the repository's own folder, there is a commit
    assert len(places.commit()) >= 7


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (None, "1.2"),
        ({"url": "file:///wheel", "archive_info": {}}, "1.2"),
        ({"url": "https://host/r", "vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef"}}, "1.2+g0123456"),
    ],
)
def test_a_package_says_its_version_and_the_commit_that_pip_fetched(origin, expected, monkeypatch):
    package = SimpleNamespace(version="1.2", read_text=lambda name: origin and json.dumps(origin))
    monkeypatch.setattr(places, "INSTALLED", True)
    monkeypatch.setattr(places.importlib.metadata, "distribution", lambda name: package)
    assert places.commit() == expected


def test_commits_of_a_repository_around_this_code_are_not_compared(inside, monkeypatch):
    monkeypatch.setattr(sides, "ROOT", places.ROOT)
    with pytest.raises(compare.Unreadable, match="commits can be compared in a clone of the repository"):
        compare.results("HEAD")


def test_a_report_without_its_packages_says_what_installs_them(monkeypatch, capsys):
    monkeypatch.setattr(arguments, "INSTALLED", True)
    with pytest.raises(typer.Exit) as ended, arguments.extra("report"):
        raise ModuleNotFoundError("No module named 'itables'", name="itables")
    assert ended.value.exit_code == 2
    assert "itables is not installed: pip install 'equireg[report]'" in capsys.readouterr().err


def test_looking_at_the_history_writes_nothing_there(tmp_path, monkeypatch):
    """Whoever writes holds a lock, and one that is killed leaves it behind: no commit could be made any more."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    (tmp_path / "file").write_text("a")
    for words in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    index = tmp_path / ".git" / "index"
    os.utime(tmp_path / "file", ns=(1, 1))  # what git would note in its index, if it might
    before = index.read_bytes()
    monkeypatch.setattr(places, "ROOT", tmp_path)
    assert places.changed(("file",)) and index.read_bytes() == before
    subprocess.run(["git", "status"], cwd=tmp_path, check=True, capture_output=True)
    assert index.read_bytes() != before, "this test would see a write"
