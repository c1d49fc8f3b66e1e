"""CONTRIBUTING.md's recipe for a framework, tried with a fourth one: NumPy, in files of `tests/fourth` alone."""

import shutil
import subprocess
import sys

import pytest

from bench.places import ROOT

FOURTH = ROOT / "tests/fourth"


@pytest.fixture
def house(tmp_path):
    """A copy of the repository's code that has the files of the fourth framework as well."""
    for folder in ("impls", "equivalence", "bench"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(FOURTH, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def verify(house, claim):
    command = [sys.executable, "-m", "bench", "verify", "--framework", "numpy", "--claim", claim, "--out", "records"]
    return subprocess.run(command, cwd=house, capture_output=True, text=True)


def test_nothing_but_its_own_files_is_needed_to_verify_a_framework(house):
    done = verify(house, "C6")
    assert done.returncode == 0 and "holds 1/1" in done.stdout


def test_what_is_wrong_in_it_fails(house):
    path = house / "impls/numpy/adversarial.py"
    path.write_text(path.read_text().replace("return radius", "return 2 * radius"))
    done = verify(house, "C6")
    assert done.returncode == 1 and "FAILS 1/1" in done.stdout


def test_what_it_lacks_is_not_covered(house):
    done = verify(house, "B3")
    assert "not covered" in done.stdout and "impls.numpy.penalty.jacobian_penalty is not written yet" in done.stdout
    assert "holds" not in done.stdout
