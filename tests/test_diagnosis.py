"""Advice on other people's functions is true or silent: on records made up for the purpose."""

import pytest

from bench.proofs import advice, comparison, diagnosis
from bench.records.schema import AgreementRecord, ClaimRecord
from bench.running.job import Job, Outcome
from equivalence.claim import claims

OFF = 1e9  # rounding units
RIGHT, WRONG = ({"kind": "exact", "difference": d, "scale": 1.0, "rounding unit": 1e-16} for d in (0.0, 1.0))


class Trial:
    """Stands for the runs of a file; `alone` says what a task gives with one function of it."""

    def __init__(self, alone):
        self.alone, self.seen = alone, []

    def job(self, tasks, clean=False):
        self.seen += tasks
        return Job("equivalence.worker", "torch", {"device": "cpu"}, tasks)

    def outcomes(self, *jobs):
        return [Outcome(job, task, "ok", result=self.result(*task)) for job in jobs for task in job.tasks]

    def result(self, kind, name, rest):
        if kind == "resemblance":
            return {"known": 3, "alike": {"fgm: 3 % too long": [5 / 3, 0.01]}}
        if rest[0] == "difference":
            return {"agree": 2}
        if rest[0] == "claim":
            return {"part": WRONG if self.alone[name] else RIGHT}
        return {rest[1][0]: {usage: agreed(self.alone[name]) for usage in rest[3]}}


def agreed(value=0.0, gradient=0.0):
    return {
        "kind": "agreement", "value": [value] * 4, "gradient": [gradient] * 4, "worst gradient": abs(gradient),
        "rounding unit": 2**-53, "condition": [1.0, 1.0],
    }  # fmt: skip


def usage(method, value=0.0, gradient=0.0, **options):
    options = {"status": "ok", "case": "tanh-mlp", "dtype": "float64"} | options
    measurement = agreed(value, gradient) if options["status"] == "ok" else {}
    return AgreementRecord(usage=method, method=method, framework="torch", measurement=measurement, **options)


def claim(name, part=WRONG, **options):
    options = {"status": "ok", "parts": {"part": part}} | options
    return ClaimRecord(claim=name, framework="torch", case=claims()[name].control, **options)


@pytest.fixture
def explain(monkeypatch):
    """What is said of functions, and the tasks that were measured to know it."""

    def explained(records, replaced, **alone):
        trial = Trial(alone)
        monkeypatch.setattr(diagnosis, "outcomes", trial.outcomes)
        monkeypatch.setattr(comparison, "compare", lambda found, *place: found)  # the outcomes are measurements already
        words = diagnosis.explain(trial, records, replaced)
        return words, [task for task in trial.seen if task[0] == "alone" and task[2][0] != "difference"]

    return explained


def test_one_function_is_not_measured_again(explain):
    words, measured = explain([usage("fgm", OFF), claim("C2")], ["fgm"])
    assert list(words) == ["fgm"] and not measured
    assert "'fgm: 3 % too long'" in words["fgm"] and "1.67 times as large" in words["fgm"]


def test_a_usage_that_fails_for_another_function_does_not_name_its_own(explain):
    """The loss in every usage is the file's cross-entropy."""
    records = [usage("fgm", OFF), usage("cross_entropy", OFF), usage("hvp")]
    words, measured = explain(records, ["fgm", "cross_entropy", "hvp"], fgm=0.0, cross_entropy=OFF)
    assert list(words) == ["cross_entropy"]
    assert [task[1] for task in measured] == ["cross_entropy", "fgm"]
    assert "known mistake" in records[1].reason and "known mistake" not in records[0].reason


def test_a_claim_is_measured_with_each_function_unless_a_usage_explains_it(explain):
    replaced = ["fgm", "input_gradient_penalty", "hvp"]
    records = [usage(name) for name in replaced] + [claim("C5")]
    words, measured = explain(records, replaced, fgm=0.0, input_gradient_penalty=0.0, hvp=OFF)
    assert {task[1] for task in measured} == set(replaced)
    assert list(words) == ["hvp"] and "cause unknown" in words["hvp"]
    records[0] = usage("fgm", OFF)
    words, measured = explain(records, replaced, fgm=OFF)
    assert [task[2][0] for task in measured] == ["agreement"] and list(words) == ["fgm"]


def test_what_has_no_numbers_is_not_named(explain):
    failed = usage("fgm", status="failed", reason="fgm raised IndexError: list index out of range (line 3)")
    timeout = claim("C2", status="timeout", reason="took longer than 60 s", parts={})
    unusable = usage("fgm", float("nan"))
    words, _ = explain([failed, timeout, unusable], ["fgm"])
    assert words == {}
    assert "IndexError" in failed.reason and "known" not in failed.reason


def test_what_fails_claims_alone_is_said_to_agree_elsewhere():
    said = advice.about("fgm", [usage("fgm"), claim("C2")], {}, {})
    assert "fgm agrees with the oracle in fgm" in said and "cause unknown" in said and "mistake" not in said
    assert "--claim F" in advice.about("fgm", [claim("C2")], {}, {})


@pytest.mark.parametrize(("value", "gradient", "where"), [(0.0, OFF, "a gradient"), (OFF, OFF, "how it is called")])
def test_calls_that_agree_say_where_else_it_is_wrong(value, gradient, where):
    said = advice.about("fgm", [usage("fgm", value, gradient)], {"agree": 2}, {"known": 3, "alike": {}})
    assert "gives the reference's numbers in all 2 calls that failed" in said and where in said
    assert "cause unknown: none of 3 known mistakes" in said


def test_the_same_numbers_a_multiple_and_the_other_way_round_are_told_apart():
    def said(**alike):
        return advice.likeness("fgm", {"known": 3, "alike": dict(zip(NAMES, alike.values(), strict=False))})

    first, second = NAMES = ("fgm: 3 % too long", "fgm: downhill")
    assert said(a=[1.0, 0.0]).endswith("does: the same errors in all that was compared")
    assert said(a=[1.5, 0.01]).endswith("the same direction of error, 1.5 times as large")
    assert said(a=[-1.5, 0.0]).endswith("the opposite direction of error, 1.5 times as large")
    assert said(a=[1.0, 0.0], b=[1.0, 0.0]).startswith(f"fails as {first!r}") and second in said(a=[1, 0], b=[1, 0])
    assert "could not be measured: it died" in advice.likeness("fgm", {"error": "it died"})
    assert "no mistake in fgm is known" in advice.likeness("fgm", {"known": 0, "alike": {}})
