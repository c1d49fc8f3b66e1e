"""A plan says before the runs what is trained and compared; what it cannot mean is refused."""

import pytest

from bench.records.schema import TrainingRecord
from bench.train import plan, study
from bench.train.datasets import DATASETS
from tests.test_train_cli import invoke, stored, told  # noqa: F401 - a fixture

TEXT = """
title = "A question"
datasets = ["digits-100"]
seeds = 3
tuning_seeds = [50, 51]
extensions = 1

[strengths]
plain = [0]
fgm = [0.1, 1, 10]

[[comparisons]]
regime = "fgm"
beside = "plain"
measure = "accuracy"
"""


@pytest.fixture
def written(tmp_path):
    """Writes a plan, changed in one place."""

    def write(old="", new=""):
        path = tmp_path / "own.toml"
        path.write_text(TEXT.replace(old, new) if old else TEXT, encoding="utf-8")
        return str(path)

    return write


def test_the_plans_that_are_committed_can_be_followed():
    for name, found in plan.plans().items():
        assert set(found.datasets) <= set(DATASETS), name
        assert all(len(grid) == 1 or grid == tuple(sorted(grid)) for grid in found.strengths.values()), name


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("fgm = [", "fgmm = [", "strengths: got 'fgmm'"),
        ('beside = "plain"', 'beside = "vat"', "'vat' has no strengths"),
        ("[50, 51]", "[2, 51]", "2 is one of the 3 seeds that judge"),
        ("seeds = 3", "seeds = 1", "seeds: Input should be greater than or equal to 2"),
        ('"accuracy"', '"luck"', "comparisons.0.measure"),
        ('title = "A question"', "titel = 1", "title: Field required"),
        ("[strengths]", "[strengths", "not TOML"),
    ],
)
def test_what_cannot_be_followed_is_refused(written, old, new, complaint, told):  # noqa: F811
    with pytest.raises(plan.BadPlan, match=complaint.replace("[", r"\[")):
        plan.read(written(old, new))
    said = invoke("--plan", written(old, new))
    assert said.exit_code == 2 and complaint in " ".join(said.output.split()) and not told.tasks


def test_a_plan_says_all_that_is_trained(written, told):  # noqa: F811
    said = invoke("--plan", written(), "--regime", "fgm")
    assert said.exit_code == 2 and "--plan says what is trained" in " ".join(said.output.split())


def test_a_plan_is_followed(written, told, framework, tmp_path):  # noqa: F811
    """The machine's likelihoods prefer small strengths, its accuracies none: ties are for the smallest."""
    said = invoke("--plan", written(), "--framework", framework, "--out", tmp_path / "out")
    assert said.exit_code == 0, said.output
    tried = {task[3] for task in told.tasks if task[0] == "validation"}
    assert tried == {0.1, 1.0, 10.0, 0.01}, "one beyond the edge that was chosen"
    judged = [task[2:] for task in told.tasks if task[0] == "test"]
    assert sorted(judged) == sorted(
        [(name, s, seed) for name, s in (("plain", 0.0), ("fgm", 0.01)) for seed in range(3)]
    )
    assert {record.seed for record in stored(tmp_path / "out") if record.part == "validation"} == {50, 51}


def record(strength, accuracy, nll, seed=50):
    facts = {"framework": "torch", "status": "ok", "dataset": "digits-100", "part": "validation", "regime": "fgm"}
    return TrainingRecord(**facts, strength=strength, seed=seed, accuracy=accuracy, nll=nll)


def test_each_measure_has_its_own_strength(written):
    asked = study.following(plan.read(written()), "torch", (), "cpu", None)
    tried = [record(0.1, 0.7, 0.9), record(1.0, 0.8, 0.6), record(10.0, 0.75, 0.5)]
    assert study.chosen(asked, tried, "accuracy")["digits-100", "fgm"] == 1.0
    assert study.chosen(asked, tried, "nll")["digits-100", "fgm"] == 10.0
    judged = {task[2] for task in study.final(asked, tried) if task[1] == "fgm"}
    assert judged == {1.0, 10.0}
    assert {task[2] for task in study.beyond(asked, tried)} == {100.0}, "beyond the edge, by the step of the grid"
    assert not study.beyond(asked, [*tried, record(100.0, 0.7, 0.4)]), "once"
