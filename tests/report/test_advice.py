"""What is said of an implementation that fails."""

from bench.proofs.advice import MOST, failures
from bench.records.schema import CallRecord


def failing(method: str, count: int) -> CallRecord:
    parts = {f"{method}: call {n}": {"error": f"{method} raised ValueError: no {n}"} for n in range(count)}
    return CallRecord(method=method, framework="torch", dtype="float64", status="ok", parts=parts)


def test_many_failures_of_one_function_hide_none_of_another():
    ((_, _, *lines),) = failures([failing("fgm", 3 * MOST), failing("hvp", 1)])
    assert lines[:2] == ["on fgm: call 0: fgm raised ValueError: no 0", "on hvp: call 0: hvp raised ValueError: no 0"]
    assert len(lines) == MOST + 1 and lines[-1] == f"and {3 * MOST + 1 - MOST} more"


def test_every_function_that_fails_is_shown():
    records = [failing(f"method{n}", 2) for n in range(2 * MOST)]
    ((_, _, *lines),) = failures(records)
    assert all(any(f"method{n} raised" in line for line in lines) for n in range(2 * MOST))
