"""What one run has, no other gets: it is told who has it, and may wait. What a dead process had is free."""

import contextlib
import os
import subprocess
import sys
import tempfile

import pytest

from bench.places import ROOT
from bench.running import locks


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    """No run on this machine is met, and none is hindered."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def silent(text):
    raise AssertionError(f"nothing to wait for, but told: {text}")


def test_a_folder_is_written_by_one(tmp_path):
    signed = rf"being written by process {os.getpid()} on .* since 2"
    with locks.folder(tmp_path), pytest.raises(locks.Held, match=signed), locks.folder(tmp_path):
        pass
    with locks.folder(tmp_path):
        pass


def test_a_device_is_timed_on_by_one_which_the_other_is_told():
    told = []
    with locks.device("cpu", 0, silent):
        with pytest.raises(locks.Held, match=r"--wait SECONDS"), locks.device("cpu", 0, told.append):
            pass
        with locks.device("cuda", 0, silent):
            pass
    assert len(told) == 1 and f"by process {os.getpid()}" in told[0]


def test_one_that_waits_gets_the_device_when_it_is_free():
    with contextlib.ExitStack() as first:
        first.enter_context(locks.device("cpu", 0, silent))
        with locks.device("cpu", 20, lambda text: first.close()):  # told, so it is waited for
            pass


def test_every_gpu_has_a_lock_of_its_own(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with locks.device("cuda", 0, silent):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
        with locks.device("cuda", 0, silent):
            pass


def test_what_a_killed_process_had_is_free(tmp_path):
    code = (
        "import os, pathlib, sys\nfrom bench.running import locks\n"
        "with locks.folder(pathlib.Path(sys.argv[1])):\n    print('has it', flush=True)\n    sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "has it\n"
        with pytest.raises(locks.Held, match=f"process {holder.pid}"), locks.folder(tmp_path):
            pass
        holder.kill()
    with locks.folder(tmp_path):
        pass


def test_cores_are_taken_once():
    with locks.some(1, [0, 1]) as first, locks.some(1, [0, 1]) as second:
        assert sorted(first + second) == [0, 1]
    with locks.some(5, [0, 1]) as every:
        assert every == [0, 1]
