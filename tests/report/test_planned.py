"""Planned comparisons: strengths by the measure that is judged, p-values for all of them, none that was not planned."""

import math

import numpy as np
import pytest
import scipy.stats

from bench.records.schema import TrainingRecord
from bench.report import finetuning_figures, page
from bench.report.tables import effects, finetuning
from bench.train.plan import Plan, plans
from bench.train.statistics import equivalence, estimate

FGM, PENALTY = "fgm articles", "gradient penalty table"
PLAN = Plan(
    title="A question",
    datasets=("airlines-100", "airlines-300"),
    seeds=10,
    tuning_seeds=(1000,),
    strengths={"plain": (0.0,), FGM: (0.1, 1.0, 10.0), PENALTY: (0.1, 1.0, 10.0)},
    comparisons=[
        {"regime": FGM, "beside": "plain", "measure": "accuracy"},
        {"regime": FGM, "beside": PENALTY, "measure": "accuracy", "margin": 0.01},
        {"regime": FGM, "beside": "plain", "measure": "nll"},
        {"regime": FGM, "beside": "plain", "measure": "confidence"},
    ],
)


@pytest.fixture(autouse=True)
def _planned(monkeypatch):
    """Another plan than those that are committed."""
    monkeypatch.setattr(finetuning, "plans", lambda: {"mine": PLAN})


def run(regime, seed, accuracy, strength=1.0, **options):
    facts = {"dataset": "airlines-100", "framework": "torch", "part": "test", "status": "ok", "nll": 0.7,
             "calibration_error": 0.2, "confidence": 0.9, "elsewhere_accuracy": 0.5, "step": 0.01}  # fmt: skip
    facts |= {"regime": regime, "seed": seed, "accuracy": accuracy, "strength": strength}
    return TrainingRecord(**(facts | options))


def search(regime, strengths=((0.1, 0.6, 0.9), (1.0, 0.8, 0.8), (10.0, 0.7, 0.7))):
    """Strengths of which the middle one is the most accurate, the last the most likely."""
    return [run(regime, 1000, accuracy, s, nll=nll, part="validation") for s, accuracy, nll in strengths]


def runs(gain, seeds=10, spread=0.002, **options):
    """Plain, FGM that gains so much by the strength of accuracy, and the penalty that gains as much."""
    noise = np.random.default_rng(0).normal(0, spread, (2, 10))
    found = [run("plain", seed, 0.7, 0.0) for seed in range(seeds)]
    for strength in (1.0, 10.0):
        options = {"nll": 0.6, "confidence": 0.8} if strength == 10 else {}
        found += [run(FGM, seed, 0.7 + gain + noise[0, seed] if strength == 1 else 0.1, strength, **options)
                  for seed in range(seeds)]  # fmt: skip
    return found + [run(PENALTY, seed, 0.7 + gain + noise[1, seed], 1.0) for seed in range(seeds)]


def rows(records):
    table = finetuning.planned_table(records)
    return {(row["compared"], row["measure"].partition(",")[0]): row for row in table.to_dict("records")}


def test_a_gain_is_judged_at_the_strength_of_its_own_measure():
    found = rows([*search(FGM), *search(PENALTY), *runs(0.02)])
    gain, likelihood = found[f"{FGM} – plain", "accuracy"], found[f"{FGM} – plain", "NLL"]
    assert gain["strengths"] == "1 – 0" and gain["verdict"] == "better" and gain["difference"].startswith("+2.0")
    assert likelihood["strengths"] == "10 – 0, at an edge" and likelihood["difference"].startswith("-0.1")
    assert found[f"{FGM} – plain", "confidence"]["verdict"] == "lower"
    assert found[f"{FGM} – {PENALTY}", "accuracy"]["verdict"] == "equivalent"


def test_p_values_allow_for_all_that_the_plan_compares():
    found = finetuning.measured([*search(FGM), *search(PENALTY), *runs(0.002)])
    assert len(found) == 4, "of the data set that has runs"
    assert all(each.allowed >= each.p or math.isnan(each.p) for each in found)
    least = min(found, key=lambda each: each.p)
    assert least.allowed == pytest.approx(8 * least.p), "those that are still to be measured count, too"


def test_a_plan_is_shown_once_each_of_its_regimes_is_judged():
    begun = [*search(FGM), *runs(0.02)]
    assert finetuning.measured(begun)
    assert not finetuning.measured([record for record in begun if record.regime != PENALTY])


def test_without_an_effect_none_is_claimed():
    found = rows([*search(FGM), *search(PENALTY), *runs(0.0, spread=0.02)])
    assert found[f"{FGM} – plain", "accuracy"]["verdict"] == "no difference shown"
    assert found[f"{FGM} – {PENALTY}", "accuracy"]["verdict"] == "not shown to be equivalent", "too uncertain"


def test_a_gain_in_one_run_is_that_of_runs_with_seeds_of_their_own():
    plain = [run("plain", seed, accuracy, 0.0) for seed, accuracy in enumerate([0.5, 0.7, 0.9])]
    ours = [run(FGM, seed, accuracy, 1.0) for seed, accuracy in enumerate([0.6, 0.7, 0.8])]
    found = rows([*search(FGM), *plain, *ours, run(PENALTY, 0, 0.7)])
    assert found[f"{FGM} – plain", "accuracy"]["better in one run"] == "50 %"


def test_what_is_not_finished_says_how_far_it_is():
    found = rows([*search(FGM), *search(PENALTY), *runs(0.02, seeds=4)])
    assert found[f"{FGM} – plain", "accuracy"]["seeds"] == "4 of 10"
    stopped = [run(name, seed, float("nan"), status="interrupted") for name in (FGM, PENALTY) for seed in range(4, 10)]
    assert rows([*search(FGM), *search(PENALTY), *runs(0.02, seeds=4), *stopped]) == found
    assert finetuning.planned_table([]).empty and finetuning.stated_table([]).empty


def test_the_articles_statements_stand_beside_what_was_planned():
    table = finetuning.stated_table([*search(FGM), *search(PENALTY), *runs(0.02)])
    said = {row["claim"]: row for row in table.to_dict("records")}
    assert said["FGM raises accuracy"]["verdict"] == "confirmed here"
    assert said["FGM raises accuracy"]["IFLYTEK"] == "60.29 → 62.46"
    assert said["FGM and the penalty do basically the same"]["verdict"] == "confirmed here"
    worse = finetuning.stated_table([*search(FGM), *search(PENALTY), *runs(-0.02)])
    assert worse["verdict"][0] == "the opposite here"
    assert "1.00 × (1.00 to 1.00)" in said[finetuning.TWICE]["here"] and said[finetuning.TWICE]["verdict"] == "less"


def test_twice_the_time_is_confirmed_by_a_short_interval_alone():
    def said(logarithms):
        return finetuning.told(estimate(logarithms))

    assert said([1.0, 1.05, 0.95]) == "confirmed here" and said([0.7, 0.71, 0.69]) == "less"
    assert said([0.64, 0.75, 0.86]) == "not shown here"
    assert said([-1.0, 1.0, 3.0]) == said([-1.0, 0.0, 0.9]) == "times vary too much to say"
    assert said([1.0]) == "not measured"


def test_a_page_with_plans_is_written():
    machine = page.Machine("here", [*search(FGM), *search(PENALTY), *runs(0.02)], [])
    shown = page.section(machine, None)
    (answer,) = [row for row in shown["findings"].to_dict("records") if "encoder" in row["question"]]
    assert "better" in answer["answer"] and "10 of 10" in answer["detail"]


def test_a_plan_that_is_not_finished_is_no_answer():
    machine = page.Machine("here", [*search(FGM), *search(PENALTY), *runs(0.02, seeds=3)], [])
    (answer,) = [
        row for row in page.section(machine, None)["findings"].to_dict("records") if "encoder" in row["question"]
    ]
    assert answer["answer"] == "not finished" and "of 10" in answer["detail"]


def test_a_plan_without_data_sets_is_about_those_of_ones_own(monkeypatch):
    anything = PLAN.model_copy(update={"datasets": ()})
    monkeypatch.setattr(finetuning, "plans", lambda: {"any": anything})
    few = [*search(FGM), *search(PENALTY), *runs(0.02)]
    own = [record.model_copy(update={"dataset": "tnews"}) for record in few]
    assert {each.dataset for each in finetuning.measured([*few, *own])} == {"tnews"}


def test_other_tables_leave_what_was_planned_to_its_own():
    records = [*search(FGM), *runs(0.02), run("fgm", 0, 0.8, dataset="reviews-200")]
    kept = finetuning.unplanned(records)
    assert {record.dataset for record in kept} == {"reviews-200"}
    assert set(effects.effects_table(kept)["data set"]) == {"reviews-200"}


def test_figures_have_a_point_a_seed_and_a_curve_over_labels():
    few = [*search(FGM), *search(PENALTY), *runs(0.02)]
    more = [record.model_copy(update={"dataset": "airlines-300"}) for record in few]
    assert set(finetuning_figures.finetuning_figures(few)) == {"planned-mine-airlines-100.svg"}
    both = finetuning_figures.finetuning_figures([*few, *more])
    assert "planned-labels-airlines.svg" in both and all(text.lstrip().startswith("<?xml") for text in both.values())
    assert not finetuning_figures.finetuning_figures([])


@pytest.mark.parametrize(("shift", "margin"), [(0.0, 0.01), (0.004, 0.01), (0.02, 0.01)])
def test_equivalence_is_two_one_sided_tests(shift, margin):
    values = shift + np.random.default_rng(3).normal(0, 0.004, 10)
    above = scipy.stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    below = scipy.stats.ttest_1samp(values, margin, alternative="less").pvalue
    assert equivalence(values, margin) == pytest.approx(max(above, below))


def test_equivalence_of_too_few_is_no_number():
    assert math.isnan(equivalence([0.1], 0.01)) and math.isnan(equivalence([0.1, math.nan], 0.01))
    assert equivalence([0.0, 0.0], 0.01) == 0.0 and equivalence([0.02, 0.02], 0.01) == 1.0


def test_every_committed_plan_can_be_shown(monkeypatch):
    monkeypatch.setattr(finetuning, "plans", plans)
    assert finetuning.planned_table([]).empty
