"""Statistics of trainings: intervals, comparisons that allow for their number, tables that hide nothing."""

import itertools
import math

import numpy as np
import pytest

from bench.records.schema import TrainingRecord
from bench.report import curve_figures, effect_figures
from bench.report.tables import curves, effects
from bench.train import study
from bench.train.measures import calibration_error, measures
from bench.train.regimes import REGIMES
from bench.train.statistics import equivalence, estimate, holm


def run(regime="plain", seed=0, accuracy=0.8, **options):
    facts = {"dataset": "reviews-200", "framework": "torch", "strength": 1.0, "part": "test", "status": "ok",
             "nll": 0.5, "calibration_error": 0.05, "confidence": 0.85, "step": 0.01}  # fmt: skip
    return TrainingRecord(**(facts | {"regime": regime, "seed": seed, "accuracy": accuracy} | options))


def runs(regime, accuracies, **options):
    return [run(regime, seed, accuracy, **options) for seed, accuracy in enumerate(accuracies)]


def test_an_interval_by_students_t():
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.7764451 * math.sqrt(2.5 / 5)  # t(0.975, 4 degrees of freedom), from a table
    assert found.mean == 3 and found.high - 3 == pytest.approx(half) and 3 - found.low == pytest.approx(half)
    assert math.isnan(estimate([1.0]).low) and estimate([1.0]).mean == 1
    assert math.isnan(estimate([1.0, float("nan")]).low)


def test_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(0)
    covered = [found.low <= 1 <= found.high for found in (estimate(rng.normal(1, 3, 5)) for _ in range(2000))]
    assert 0.935 < np.mean(covered) < 0.965


def test_holm_as_in_a_textbook():
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005, "e": float("nan")})
    assert [found[name] for name in "abcd"] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert math.isnan(found["e"])


def test_of_many_regimes_without_effect_few_are_said_to_have_one():
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(300):
        allowed = holm({str(i): estimate(rng.normal(0, 1, 5)).p for i in range(15)})
        wrong += min(allowed.values()) <= 0.05
    assert wrong / 300 < 0.08


def test_all_that_a_framework_is_compared_by_is_one_family():
    """Two data sets, two regimes, two measures: eight, of which each is shown only for all."""
    rng = np.random.default_rng(2)
    records = []
    for data, regime in itertools.product(("reviews-200", "digits-100"), ("plain", "noise", "vat")):
        likely = [{"dataset": data, "nll": nll} for nll in rng.normal(0.5, 0.01, 5)]
        records += [run(regime, seed, 0.8 + rng.normal(0, 0.01), **each) for seed, each in enumerate(likely)]
    found = effects.compared(records)
    assert len(found) == 8
    least = min(found, key=lambda each: each.p)
    assert least.allowed == pytest.approx(min(1, 8 * least.p))


def test_each_measure_is_judged_at_the_strength_that_it_chose():
    tried = [
        run("fgm", 1000, accuracy, strength=strength, nll=nll, part="validation")
        for strength, accuracy, nll in ((0.1, 0.7, 0.9), (1.0, 0.9, 0.6), (3.0, 0.8, 0.5), (10.0, 0.7, 0.7))
    ]
    accurate = runs("fgm", [0.9, 0.91, 0.92], strength=1.0, nll=0.6)
    likely = runs("fgm", [0.8, 0.81, 0.82], strength=3.0, nll=0.4)
    table = effects.effects_table([*tried, *runs("plain", [0.7, 0.71, 0.72]), *accurate, *likely])
    found = table.set_index("regime").loc["fgm"]
    assert found["strength"] == "1 / 3" and found["accuracy %"].startswith("91.0") and found["NLL"].startswith("0.400")
    assert found["beside plain"].startswith("+20.0") and found["NLL beside plain"].startswith("-0.100")
    ending = [each for each in tried if each.strength < 10]
    (fgm,) = effects.effects_table([*ending, *accurate, *likely])["strength"]
    assert fgm == "1 / 3, at an edge"


def test_sameness_must_be_shown():
    assert equivalence([0.001, -0.001, 0.002, 0.0, -0.002], margin=0.01) < 0.01
    assert equivalence([0.03, -0.03, 0.02, 0.0, -0.02], margin=0.01) > 0.05, "too uncertain"
    assert equivalence([0.02, 0.021, 0.019, 0.02, 0.02], margin=0.01) > 0.95, "too far"
    assert math.isnan(equivalence([0.0], margin=0.01))


def test_measures_of_a_model_that_is_sure_and_half_right():
    found = measures(np.array([[9.0, 0.0], [9.0, 0.0]]), np.array([0, 1]))
    sure = 1 / (1 + math.exp(-9))
    assert found["accuracy"] == 0.5 and found["confidence"] == pytest.approx(sure)
    assert found["calibration_error"] == pytest.approx(sure - 0.5)
    assert found["nll"] == pytest.approx((-math.log(sure) - math.log(1 - sure)) / 2)


def test_calibration_is_by_bins():
    confidence, right = np.array([0.5, 0.5, 1.0, 1.0]), np.array([1, 0, 1, 1])
    assert calibration_error(confidence, right.astype(float)) == pytest.approx(0)
    assert calibration_error(np.array([0.9, 0.7]), np.array([0.0, 1.0])) == pytest.approx((0.9 + 0.3) / 2)


def test_differences_are_paired_by_seed():
    plain = runs("plain", [0.70, 0.80, 0.75, 0.72, 0.78])
    better = runs("fgm", [0.71, 0.812, 0.76, 0.728, 0.79])
    table = effects.effects_table([*plain, *better[::-1]])
    found = table.set_index("regime").loc["fgm"]
    assert found["beside plain"].startswith("+1.00 (") and found["verdict"] == "better"
    assert table.set_index("regime").loc["plain", "verdict"] == effects.NONE


def test_what_diverged_or_failed_is_counted_and_not_averaged():
    lost = [run("fgm", 0, status="diverged", accuracy=float("nan")), *runs("fgm", [0.8, 0.9])[1:]]
    found = effects.effects_table([*runs("plain", [0.7, 0.8]), *lost]).set_index("regime").loc["fgm"]
    assert found["seeds"] == "1, 1 diverged" and found["verdict"] == "not measured" and found["accuracy %"] == "90.0"


def test_the_articles_claims_hold_or_do_not():
    records = runs("plain", [0.70, 0.71, 0.72, 0.70, 0.71]) + runs("fgm table", [0.72, 0.73, 0.74, 0.72, 0.731])
    records += runs("fgm", [0.715, 0.725, 0.735, 0.715, 0.725]) + runs(
        "gradient penalty", [0.715, 0.724, 0.736, 0.716, 0.725]
    )
    found = effects.articles_table(records).set_index("claim")["holds here"]
    assert found["FGM raises accuracy"] == "on 1 of 1"
    assert found["FGM and the penalty do basically the same"] == "on 1 of 1"
    assert found["With FGM probabilities are more reasonable (here: calibration error)"] == "on 0 of 1"
    assert found["VAT gains from text without labels"] == "not measured"
    assert effects.articles_table([]).empty


def test_the_strength_with_the_least_mean_likelihood_is_chosen():
    planned = study.Study("torch", ("reviews-200",), ("plain", "fgm", "noise"))
    tried = [
        run("fgm", seed, strength=strength, nll=nll, part="validation")
        for strength, nlls in ((0.3, (0.5, 0.6)), (1.0, (0.4, 0.5)), (3.0, (0.1, 0.9)))
        for seed, nll in zip(study.COSTLY_TUNING_SEEDS, nlls, strict=True)
    ]
    diverged = [
        run("noise", seed, strength=s, status="diverged") for seed in (0, 1) for s in REGIMES["noise"].strengths
    ]
    found = study.chosen(planned, [*tried, *diverged])
    assert found == {("reviews-200", "plain"): 0.0, ("reviews-200", "fgm"): 1.0, ("reviews-200", "noise"): 0.3}


def test_no_seed_of_the_search_is_one_of_the_studys():
    planned = study.Study("torch", ("reviews-200",), tuple(REGIMES), seeds=50)
    tried, judged = study.tuning(planned), study.final(planned, [])
    assert not {task[3] for task in tried} & {task[3] for task in judged}
    assert {(task[1], task[2]) for task in judged} <= {(task[1], task[2]) for task in tried} | {("plain", 0.0)}


def test_a_regime_of_tables_is_for_text():
    planned = study.Study("torch", ("digits-100", "reviews-200"), ("plain", "fgm table"))
    assert ("digits-100", "fgm table") not in planned.pairs and ("reviews-200", "fgm table") in planned.pairs


def test_curves_part_by_their_largest_difference():
    records = [
        run(framework=name, part="curve", losses=[1.0, 0.5 * factor])
        for name, factor in (("torch", 1), ("jax", 1 + 1e-10), ("tensorflow", 1 - 1e-12))
    ]
    found = curves.curves_table(records)
    assert found["largest relative difference"].tolist() == ["1.0e-10"] and found["steps"].tolist() == ["2"]
    (figure,) = curve_figures.curve_figures(records).values()
    assert figure.startswith("<?xml")


def test_seeds_of_another_strength_are_no_part_of_a_mean():
    before = runs("fgm", [0.1] * 5, strength=3.0, time="2026-01-01")
    after = runs("fgm", [0.9] * 3, strength=1.0, time="2026-01-02")
    found = effects.judged([*after, *before])["reviews-200", "torch"]["fgm"]
    assert [found[seed].accuracy for seed in sorted(found)] == [0.9] * 3


def test_a_figure_has_a_row_for_each_regime_beside_plain():
    records = runs("plain", [0.8, 0.81, 0.8]) + runs("fgm", [0.82, 0.82, 0.83]) + runs("vat", [0.7, 0.7, 0.71])
    figures = effect_figures.effect_figures(records)
    assert list(figures) == ["effects-reviews-200.svg"]
    drawn = figures["effects-reviews-200.svg"]
    assert ">fgm<" in drawn and ">vat<" in drawn and ">plain<" not in drawn
    assert not effect_figures.effect_figures(runs("fgm", [0.8, 0.8])), "nothing to stand beside"
