"""A run survives what its workers do: die, hang, raise, take all memory, or never start; and it can be stopped."""

import math
import os
import platform
import signal
import subprocess
import sys
import textwrap

import psutil
import pytest

from bench.running import allocator
from bench.running.job import Job, Outcome, Started
from bench.running.local import run

WORKER = """
    import ctypes, os, pathlib, resource, sys, time
    from equivalence.protocol import serve

    def start(job):
        if job.get("broken"):
            raise ImportError("no such framework")
        if "once" in job and not pathlib.Path(job["once"]).exists():
            pathlib.Path(job["once"]).touch()
            ctypes.string_at(0)
        def measure(task):
            if task == "raise":
                raise ValueError("a wrong number")
            if task == "exit":
                os._exit(3)
            if task == "hang":
                time.sleep(60)
            if task == "segfault":
                ctypes.string_at(0)
            if task == "too much":
                bytearray(1 << 60)
            if task == "in words":
                raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes")
            if task == "hoard":
                hoard = b"x" * (400 << 20)
                time.sleep(60)
            if task == "pause":
                while not pathlib.Path(job["until"]).exists():
                    time.sleep(0.05)
            if task == "read":
                return {"path": job["expected"], "text": pathlib.Path(job["expected"]).read_text()}
            if task == "again":
                fill = lambda: len(b"x" * (100 << 20))
                faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
                before = [faults(), fill(), faults(), fill(), faults()]
                return {"faults": [before[2] - before[0], before[4] - before[2]]}
            if task == "print":
                print("not an event")
            if task == "close":
                os.closerange(3, 100)
            if task == "fork":
                os.fork()
            if task == "leave a child":
                child = os.fork()
                if not child:
                    if job.get("apart"):
                        os.setsid()
                    time.sleep(600)
                return {"child": child}
            if task == "forge":
                done = '{"event": "done", "number": %d, "status": "ok", "seconds": 0, "result": {"forged": true}}'
                for number in range(2, 20):
                    for line in [done % 0 + "\\n", done % 1 + "\\n", "[]\\n", "no end of line"]:
                        try:
                            os.write(number, line.encode())
                        except OSError:
                            pass
            if task == "nan":
                return {"value": float("nan")}
            return {"task": task}
        return measure

    serve(start)
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """Run tasks in a worker as above; outcomes by task, and everything that was said."""
    (tmp_path / "worker_for_tests.py").write_text(textwrap.dedent(WORKER))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def measure(tasks, limit=20.0, hear=lambda event: None, memory=math.inf, sizes=(), **arguments):
        said = []

        def say(event):
            said.append(event)
            hear(event)

        job = Job("worker_for_tests", "torch", {"device": "cpu", **arguments}, tasks, limit, list(sizes))
        try:
            run([job], [[0]], say, memory)
        except KeyboardInterrupt:
            assert "interrupted" in {event.status for event in said if isinstance(event, Outcome)}
        outcomes = [event for event in said if isinstance(event, Outcome)]
        assert len(outcomes) == len(tasks), "every task has exactly one outcome"
        return {outcome.task: outcome for outcome in outcomes}, said

    return measure


def test_results_come_back(work):
    outcomes, _ = work(["a", "print", "b"])
    assert [outcome.status for outcome in outcomes.values()] == ["ok"] * 3
    assert outcomes["b"].result == {"task": "b"}


def test_what_measured_code_writes_to_the_worker_s_output_is_no_event(work):
    outcomes, _ = work(["a", "forge", "b", "c"])
    assert {task: outcome.result for task, outcome in outcomes.items()} == {task: {"task": task} for task in outcomes}


def test_a_process_that_a_worker_forks_ends_no_unit_twice(work):
    outcomes, _ = work(["a", "fork", "b"])
    assert {outcome.status for outcome in outcomes.values()} == {"ok"}


def test_an_exception_is_its_unit_s_own(work):
    outcomes, _ = work(["a", "raise", "b"])
    assert outcomes["raise"].status == "failed"
    assert "ValueError: a wrong number" in outcomes["raise"].reason
    assert outcomes["b"].status == "ok"


def test_a_death_costs_one_unit_and_the_rest_goes_on(work):
    outcomes, said = work(["a", "exit", "b", "c"])
    assert outcomes["exit"].status == "failed" and "exit status 3" in outcomes["exit"].reason
    assert [outcomes[task].status for task in "abc"] == ["ok"] * 3
    assert len({event.process for event in said if isinstance(event, Started)}) == 2


def test_a_killed_worker_costs_one_unit(work):
    def kill(event):
        if isinstance(event, Started) and event.task == "hang":
            os.kill(event.process, signal.SIGKILL)

    outcomes, _ = work(["a", "hang", "b"], hear=kill)
    assert outcomes["hang"].status == "oom" and "SIGKILL" in outcomes["hang"].reason
    assert outcomes["a"].status == outcomes["b"].status == "ok"


def test_a_hang_is_a_timeout(work):
    outcomes, _ = work(["a", "hang", "b"], limit=2.0)
    assert outcomes["hang"].status == "timeout" and "2 s" in outcomes["hang"].reason
    assert outcomes["b"].status == "ok"


def test_a_segfault_has_its_name(work):
    outcomes, _ = work(["a", "segfault", "b"])
    assert outcomes["segfault"].status == "failed" and "SIGSEGV" in outcomes["segfault"].reason
    assert outcomes["a"].status == outcomes["b"].status == "ok"


@pytest.mark.parametrize("task", ["too much", "in words"])
def test_an_allocation_that_is_refused_is_out_of_memory(work, task):
    outcomes, said = work(["a", task, "b"])
    assert outcomes[task].status == "oom" and "Error" in outcomes[task].reason
    assert outcomes["b"].status == "ok"
    assert len({event.process for event in said if isinstance(event, Started)}) == 2, "the next task has all memory"


def test_a_worker_over_the_memory_limit_costs_one_unit(work):
    outcomes, _ = work(["a", "hoard", "b"], memory=300)
    assert outcomes["hoard"].status == "oom" and "limit of 300 MiB" in outcomes["hoard"].reason
    assert outcomes["a"].status == outcomes["b"].status == "ok"


@pytest.mark.parametrize(("task", "status"), [("hang", "timeout"), ("too much", "oom")])
def test_what_is_larger_than_what_was_too_much_is_skipped(work, task, status):
    sizes = [("one", 8), ("one", 4), ("one", 16), ("other", 16)]
    outcomes, _ = work([task, "smaller", "larger", "other"], limit=2.0, sizes=sizes)
    assert outcomes["larger"].status == "skipped"
    assert outcomes["larger"].reason == f"{status} at size 8 already, this is size 16"
    assert outcomes["smaller"].status == outcomes["other"].status == "ok"


def test_sizes_go_with_the_units_that_are_kept():
    job = Job("", "torch", {}, ["a", "b", "c"], sizes=[("x", 1), ("x", 2), ("x", 3)]).only("b".__ne__)
    assert (job.tasks, job.sizes) == (["a", "c"], [("x", 1), ("x", 3)])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_so_of_every_unit(work, number):
    def stop(event):
        if isinstance(event, Started) and event.task == "hang":
            os.kill(os.getpid(), number)

    outcomes, said = work(["a", "hang", "b"], hear=stop)
    assert [outcome.status for outcome in outcomes.values()] == ["ok", "interrupted", "interrupted"]
    assert all("the run was stopped" in outcomes[task].reason for task in ("hang", "b"))
    (process,) = {event.process for event in said if isinstance(event, Started)}
    assert not psutil.pid_exists(process)


def test_an_error_in_the_one_who_listens_ends_the_run(work):
    def fail(event):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        work(["a", "hang"], hear=fail)


def test_a_worker_that_cannot_start_fails_all_its_units(work):
    outcomes, _ = work(["a", "b"], broken=True)
    assert {outcome.status for outcome in outcomes.values()} == {"failed"}
    assert "no such framework" in outcomes["a"].reason


def test_a_worker_that_dies_once_while_it_starts_costs_nothing(work, tmp_path):
    outcomes, _ = work(["a", "b"], once=str(tmp_path / "died"))
    assert (tmp_path / "died").exists() and {outcome.status for outcome in outcomes.values()} == {"ok"}


def test_a_task_that_closes_the_way_to_the_run_fails_in_words(work):
    outcomes, _ = work(["a", "close", "b"])
    assert outcomes["close"].reason.startswith("the worker died: exit status 1. the way to the run was closed")
    assert "Traceback" not in outcomes["close"].reason and outcomes["a"].status == outcomes["b"].status == "ok"


@pytest.mark.parametrize("apart", [False, True])
def test_a_child_that_is_left_behind_is_ended_and_not_waited_for(work, apart):
    """Also one that is in a session of its own."""
    outcomes, _ = work(["leave a child", "b"], apart=apart)
    assert {outcome.status for outcome in outcomes.values()} == {"ok"}
    assert is_gone(outcomes["leave a child"].result["child"])


PARENT = """
from bench.running.job import Job, Started
from bench.running.local import run

def say(event):
    if isinstance(event, Started):
        print(event.process, flush=True)

run([Job("worker_for_tests", "torch", {"device": "cpu"}, ["hang"])], [[0]], say)
"""


def test_a_worker_ends_with_the_run_that_started_it(work):
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        assert psutil.pid_exists(worker)
        parent.kill()
    assert is_gone(worker)


def is_gone(process):
    """Whether a process ends in the next seconds, or has; one that nobody has asked for its end has, too."""
    try:
        found = psutil.Process(process)
        return found.status() == psutil.STATUS_ZOMBIE or not psutil.wait_procs([found], timeout=10)[1]
    except psutil.NoSuchProcess:
        return True


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has no such settings")
@pytest.mark.parametrize("kept", [True, False])
def test_a_timed_process_keeps_what_it_frees(work, kept, monkeypatch):
    for name in allocator.KEEPING:
        monkeypatch.delenv(name, raising=False)
    outcomes, _ = work(["again"], environment=allocator.settings() if kept else {})
    first, second = outcomes["again"].result["faults"]
    assert (second < first / 100) == kept


def test_what_the_user_has_told_the_allocator_stays(monkeypatch):
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "65536")
    assert allocator.settings() == {}


def test_nan_comes_back_as_nan(work):
    outcomes, _ = work(["nan"])
    assert outcomes["nan"].result["value"] != outcomes["nan"].result["value"]
