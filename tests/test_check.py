"""What `check` decides: differences, the choice of their step, what makes a report bad, and what it advises."""

import json

import numpy as np
import pytest

from bench.check.advice import penalty_way
from bench.check.differences import FEW, FINE, along, second_along
from bench.check.run import Report, Unusable, assembled, checked_path, chosen_framework
from bench.check.statements import BAD, GOOD, Section
from bench.check.template import TEMPLATES
from bench.running.job import Job, Outcome
from equivalence.own_models import framework_of


@pytest.mark.parametrize("steps", [FEW, FINE], ids=["few", "fine"])
def test_a_derivative_is_found_and_its_trust_is_kept(steps):
    found = along(lambda t: {"value": np.array([np.sin(1 + t), np.exp(3 * t)])}, steps)["value"]
    off = np.linalg.norm(found.value - [np.cos(1), 3])
    assert off < 1e-8 and off <= 16 * found.error


def test_a_kink_nearby_is_passed_by_smaller_steps():
    """|t + 0.003| has the slope 1 at 0, which a step of 0.01 does not see."""
    found = along(lambda t: {"value": np.abs(t + 0.003)}, FEW)["value"]
    assert found.value == pytest.approx(1, abs=1e-9) and found.step < 0.003


def test_a_jump_is_not_trusted():
    rng = np.random.default_rng(0)
    found = along(lambda t: {"value": rng.standard_normal(3)}, FEW)["value"]
    assert found.error > 0.1 * found.size


def test_a_second_derivative_is_found():
    found = second_along(lambda t: np.array([np.sin(1 + 2 * t)]))
    assert found.value == pytest.approx(-4 * np.sin(1), rel=1e-6)


def section(title, **numbers):
    return Section(title, numbers=numbers)


def test_the_quickest_right_way_is_advised():
    ways = {"gradient penalty, double backward": "right", "gradient penalty, finite difference": "right"}
    cost = Section("Cost", rows=[["plain"]], states=[GOOD])
    cost.numbers["jit: quickest penalty"] = ["forward over reverse", "finite difference", "double backward"]
    assert penalty_way({"Cost": cost}, ways) == "finite difference"
    assert penalty_way({"Cost": cost}, dict.fromkeys(ways, "wrong")) == ""


def outcomes(status, **results):
    job = Job("bench.check.worker", "torch", {}, [])
    topics = ("derivatives", "radius", "curvature", "places", "samples", "precision", "cost", "lines")
    return [Outcome(job, ["topic", name], status, "why it is so", result=results.get(name, {})) for name in topics]


def test_a_file_that_no_topic_can_use_is_refused(tmp_path):
    with pytest.raises(Unusable, match="why it is so"):
        assembled(tmp_path / "own.py", "torch", outcomes("failed"), 0.0)


def test_one_wrong_row_makes_the_report_bad():
    report = Report("own.py", "torch", {"derivatives": Section("Derivatives")})
    assert not report.bad
    report.sections["derivatives"].add(BAD, "a row")
    assert report.bad and json.loads(report.told())["right"] is False


@pytest.mark.parametrize(("name", "framework"), [("torch", "torch"), ("jax", "jax"), ("keras", "tensorflow")])
def test_a_template_is_python_of_its_framework(name, framework, tmp_path):
    path = tmp_path / "own.py"
    path.write_text(TEMPLATES[name])
    assert framework_of(checked_path(path)) == framework


def test_what_is_no_model_is_refused_before_it_is_run(tmp_path):
    (tmp_path / "own.py").write_text("import torch\ndef model(:\n")
    with pytest.raises(Unusable, match=r"own\.py:2: not Python"):
        checked_path(tmp_path / "own.py")
    with pytest.raises(Unusable, match="there is no such file"):
        checked_path(tmp_path / "none.py")
    (tmp_path / "own.txt").touch()
    with pytest.raises(Unusable, match="expected a Python file"):
        checked_path(tmp_path / "own.txt")
    (tmp_path / "both.py").write_text("import torch, jax\n")
    with pytest.raises(Unusable, match="several frameworks or none"):
        chosen_framework(tmp_path / "both.py", "")
