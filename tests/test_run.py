"""A run survives what its workers do: die, hang, raise, or never start."""

import os
import signal
import textwrap

import pytest

from bench.executors.local import run
from bench.run import Job, Outcome, Started

WORKER = """
    import os, sys, time
    from equivalence.protocol import serve

    def start(job):
        if job.get("broken"):
            raise ImportError("no such framework")
        def measure(unit):
            if unit == "raise":
                raise ValueError("a wrong number")
            if unit == "exit":
                os._exit(3)
            if unit == "hang":
                time.sleep(60)
            if unit == "print":
                print("not an event")
            if unit == "nan":
                return {"value": float("nan")}
            return {"unit": unit}
        return measure

    serve(start)
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """Run units in a worker as above; outcomes by unit, and everything that was said."""
    (tmp_path / "worker_for_tests.py").write_text(textwrap.dedent(WORKER))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def measure(units, limit=20.0, hear=lambda event: None, **arguments):
        said = []

        def say(event):
            said.append(event)
            hear(event)

        job = Job("worker_for_tests", "torch", {"device": "cpu", **arguments}, units, limit)
        run([job], [[0]], say)
        outcomes = [event for event in said if isinstance(event, Outcome)]
        assert len(outcomes) == len(units), "every unit has exactly one outcome"
        return {outcome.unit: outcome for outcome in outcomes}, said

    return measure


def test_results_come_back(work):
    outcomes, _ = work(["a", "print", "b"])
    assert [outcome.status for outcome in outcomes.values()] == ["ok"] * 3
    assert outcomes["b"].result == {"unit": "b"}


def test_an_exception_is_its_unit_s_own(work):
    outcomes, _ = work(["a", "raise", "b"])
    assert outcomes["raise"].status == "failed"
    assert "ValueError: a wrong number" in outcomes["raise"].reason
    assert outcomes["b"].status == "ok"


def test_a_death_costs_one_unit_and_the_rest_goes_on(work):
    outcomes, said = work(["a", "exit", "b", "c"])
    assert outcomes["exit"].status == "failed" and "exit status 3" in outcomes["exit"].reason
    assert [outcomes[unit].status for unit in "abc"] == ["ok"] * 3
    assert len({event.process for event in said if isinstance(event, Started)}) == 2


def test_a_killed_worker_costs_one_unit(work):
    def kill(event):
        if isinstance(event, Started) and event.unit == "hang":
            os.kill(event.process, signal.SIGKILL)

    outcomes, _ = work(["a", "hang", "b"], hear=kill)
    assert outcomes["hang"].status == "oom" and "SIGKILL" in outcomes["hang"].reason
    assert outcomes["a"].status == outcomes["b"].status == "ok"


def test_a_hang_is_a_timeout(work):
    outcomes, _ = work(["a", "hang", "b"], limit=2.0)
    assert outcomes["hang"].status == "timeout" and "2 s" in outcomes["hang"].reason
    assert outcomes["b"].status == "ok"


def test_a_worker_that_cannot_start_fails_all_its_units(work):
    outcomes, _ = work(["a", "b"], broken=True)
    assert {outcome.status for outcome in outcomes.values()} == {"failed"}
    assert "no such framework" in outcomes["a"].reason


def test_nan_comes_back_as_nan(work):
    outcomes, _ = work(["nan"])
    assert outcomes["nan"].result["value"] != outcomes["nan"].result["value"]
