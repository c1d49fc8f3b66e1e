"""The first screen: what it counts as wrong, what it says to train with, and pictures only of what was measured."""

import math

import pytest

from bench.records.schema import TrainingRecord
from bench.records.store import latest
from bench.report import first_screen, page
from bench.report.answers import choose_newest
from bench.report.page import make_tables
from bench.report.tables.entries import NONE
from tests.report.made import claim_record, cost_records, of_every_kind, power_law

PRICES = {"plain": 1.0, "fgm": 2.0, "pgd-3": 4.0, "noise": 1.1, "vat": 3.0}


def runs(gains, data="reviews-200"):
    """Ten seeds of each regime, so many points better than plain training, with a little of their own."""
    made = []
    for place, (regime, points) in enumerate(gains.items()):
        for seed in range(10):
            accuracy = 0.6 + points / 100 + 0.001 * ((seed * (place + 3)) % 7 - 3)
            run = {"framework": "torch", "dataset": data, "regime": regime, "strength": 0.5, "seed": seed}
            facts = {"part": "test", "status": "ok", "accuracy": accuracy, "nll": 1.0, "step": PRICES[regime]}
            made.append(TrainingRecord(**run, **facts))
    return latest(made)


def test_the_best_comes_first_and_then_the_cheapest_of_its_equals():
    found = first_screen.candidates(runs({"plain": 0.0, "fgm": 3.0, "pgd-3": 3.05, "noise": 0.0, "vat": 1.5}))
    own = found[found["framework"] == "torch"]
    assert list(own["candidate"]) == ["pgd-3", "fgm"], "vat is shown to be worse than them, noise does nothing"
    assert list(own["no difference shown to it"]) == ["fgm", "pgd-3"]
    assert own["time of a step, × plain"].iloc[1] == "2.00 in torch"
    assert own["line to paste"].iloc[1].startswith('step = adversarial_training(model, optimizer, loss, "embedding", ')
    assert set(found["framework"]) == {"torch", "jax", "tensorflow"} and set(found["labels"]) == {"200 texts (reviews)"}


def test_what_a_plan_compares_is_no_part_of_the_advice():
    """Nor of its family of p-values, so that it says what the table of effects says."""
    own = runs({"plain": 0.0, "fgm": 3.0})
    planned = runs({"plain": 0.0, "fgm": 9.0, "noise": 0.0}, data="airlines-100")
    found = first_screen.candidates(latest([*own, *planned]))
    assert len(found) and found.equals(first_screen.candidates(own))


def test_nothing_is_advised_where_nothing_is_better():
    assert first_screen.candidates(runs({"plain": 0.0, "fgm": -2.0, "noise": 0.0})).empty


@pytest.mark.parametrize(
    ("framework", "line"),
    [
        ("torch", "step = gradient_penalty_training(model, optimizer, loss, weight=0.1, norm='l2_squared')"),
        ("jax", "objective = gradient_penalty_training(f, loss, weight=0.1, norm='l2_squared')"),
        ("tensorflow", "gradient_penalty_training(model, weight=0.1, norm='l2_squared')"),
    ],
)
def test_a_line_is_one_of_its_framework(framework, line):
    assert first_screen.write_line(framework, "gradient penalty", 0.1, "digits-100") == line


def test_a_way_to_train_without_a_line_leads_to_its_method():
    assert "docs/methods.md" in first_screen.write_line("torch", "consistency", 1.0, "digits-100")


def tables(records):
    records = latest(records)
    return records, make_tables(records, None)


def test_what_is_wrong_is_counted_and_led_to():
    records, shown = tables([claim_record(), claim_record(framework="jax", part=power_law(order=1.0))])
    found = first_screen.line("here", records, {}, shown)
    assert (found.wrong, found.heading) == (1, "Claims")
    records, shown = tables([claim_record()])
    assert first_screen.line("here", records, {}, shown).wrong == 0


def test_a_picture_is_of_what_was_measured():
    found = tiles([page.Machine("here", [*of_every_kind(), *runs({"plain": 0.0, "fgm": 3.0})], [])])
    assert [tile.title for tile in found] == [
        "Proved",
        "Mistakes rejected",
        "Cost of a training step",
        "Gain against cost",
    ]
    assert found[2].picture.count("<svg") == found[3].picture.count("<svg") == 1
    assert not any(tile.picture for tile in tiles([]))


def tiles(machines):
    shown = page.sections(machines, None)
    return first_screen.tiles(shown, choose_newest(shown, None))


def test_a_picture_is_drawn_where_its_answer_was_measured():
    """The newest machine has timed nothing: the tile of cost is the older one's, and leads to its table."""
    old = page.Machine("a", cost_records("fgm", [2.0] * 3, time="2026-01-01T00:00:00+00:00"), [])
    new = page.Machine("b", [claim_record(time="2026-02-01T00:00:00+00:00")], [])
    _, _, cost, _ = tiles([old, new])
    assert cost.answer.place == 1
    assert cost.picture and cost.answer.measured == "a, 2026-01-01"


def test_what_to_train_with_is_said_by_the_machine_that_trained():
    old = page.Machine(
        "a", [run.model_copy(update={"time": "2026-01-01"}) for run in runs({"plain": 0.0, "fgm": 3.0})], []
    )
    new = page.Machine("b", [claim_record(time="2026-02-01")], [])
    shown = page.sections([old, new], None)
    found = first_screen.advise(shown, choose_newest(shown, None))
    assert set(found.table["candidate"]) == {"fgm"} and found.measured == "a, 2026-01-01"


def test_a_price_that_is_not_known_is_said_so():
    untimed = [run.model_copy(update={"step": math.nan}) for run in runs({"plain": 0.0, "fgm": 3.0})]
    found = first_screen.candidates(untimed)
    assert set(found["candidate"]) == {"fgm"} and set(found["time of a step, × plain"]) == {f"{NONE} in torch"}
