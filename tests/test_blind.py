"""What a check cannot see does not count as right, and is seen elsewhere: an error of 1 %, planted."""

import numpy as np
import pytest

from bench.proofs import comparison
from bench.proofs.verify import GROUPS
from bench.records.blind import SEEN, is_blind
from bench.records.schema import AgreementRecord
from bench.report.tables.agreement import calls_table
from bench.report.tables.entries import GOOD, NEUTRAL
from bench.report.tables.outcomes import FAILS, HOLDS, SHOWS_NOTHING, outcome, tally
from equivalence.calls import calls
from equivalence.cases import REGISTRY
from equivalence.judge import judge
from equivalence.usages import usages
from tests.report.made import agreement_record, call_record
from tests.test_calls import measured, right

[HARD] = [group for group in GROUPS if "tiny-gradients" in group.cases]
PLAIN = "tanh-mlp"


def outcome_of(usage, case, factors):
    """What is said of the oracle's own numbers, as the dtype holds them, value and gradient times a factor each."""
    exact, _ = comparison.expected(usage, case, HARD.dtype)
    with np.errstate(over="ignore"):
        value, gradient = (np.asarray(f * each, HARD.dtype) for f, each in zip(factors, exact, strict=True))
    raw = {"value": value.tolist(), "gradient": gradient.tolist()}
    found = comparison.compare(raw, usage, case, HARD.dtype)
    record = {"usage": usage, "method": usages()[usage].method, "framework": "torch", "case": case}
    return outcome(AgreementRecord(**record, dtype=HARD.dtype, status="ok", measurement=found))


def outcomes_of_planted(usage, case):
    """What is said where value or gradient is a hundredth too large; a hundredth of nothing is nothing."""
    exact, _ = comparison.expected(usage, case, HARD.dtype)
    factors = ((1 + SEEN, 1), (1, 1 + SEEN))
    return [outcome_of(usage, case, f) for f, each in zip(factors, exact, strict=True) if np.any(each)]


def chosen(case):
    built = REGISTRY[case]()
    return [usage.name for usage in usages().values() if HARD.chosen(usage) and usage.applies(built)]


@pytest.mark.parametrize("case", HARD.cases)
def test_an_error_of_a_hundredth_never_counts_as_right(case):
    """In value or in gradient, of any usage, on cases on which everything could pass."""
    told = {usage: outcomes_of_planted(usage, case) for usage in chosen(case)}
    assert any(told.values()) and {usage: words for usage, words in told.items() if HOLDS in words} == {}


def test_what_shows_nothing_somewhere_is_seen_on_the_plain_case():
    blind = {usage for case in HARD.cases for usage in chosen(case) if outcome_of(usage, case, (1, 1)) == SHOWS_NOTHING}
    assert {"input_gradient_penalty", "jacobian_penalty", "tikhonov_penalty"} <= blind
    for usage in blind:
        assert outcome_of(usage, PLAIN, (1, 1)) == HOLDS
        assert outcomes_of_planted(usage, PLAIN) == [FAILS, FAILS], usage


@pytest.mark.parametrize("method", ["entropy", "l2_norm", "tikhonov_penalty", "vat_loss"])
def test_a_call_in_which_all_is_lost_shows_nothing_and_others_of_its_method_do(method):
    """These have such a call, as of logits so far apart that the entropy is 1e-70."""
    seen = {}
    for name in (call.name for call in calls().values() if call.method == method):
        found = right(name)
        if not any(np.any(part["value"]) for part in found):
            continue  # a hundredth of nothing is nothing
        measurement = measured(name, [part | {"value": (1 + SEEN) * part["value"]} for part in found])
        seen[name] = "FAILS" if not judge(measurement).holds else "shows nothing" if is_blind(measurement) else "holds"
    assert "holds" not in seen.values() and "FAILS" in seen.values(), seen


def blind_record(share):
    """A value so small that a unit is a third of it, and off by a share of itself."""
    measurement = agreement_record([0.0]).measurement | {"rounding unit": 2.0**-24, "condition": [2.0**24 / 3, 1.0]}
    return agreement_record([3 * share], measurement=measurement | {"value": [3 * share]})


@pytest.mark.parametrize(
    ("share", "word"), [(0.0, HOLDS), (0.004, HOLDS), (0.01, SHOWS_NOTHING), (1.0, SHOWS_NOTHING), (20.0, FAILS)]
)
def test_within_a_large_unit_a_result_is_held_against_itself(share, word):
    assert outcome(blind_record(share)) == word


def test_half_precision_sees_a_result_that_is_missing():
    facts = agreement_record([0.0]).measurement | {"rounding unit": 2.0**-8}
    assert not is_blind(facts | {"value": [7.0], "condition": [2.0, 2.0]})
    assert is_blind(facts | {"value": [7.0], "condition": [40.0, 2.0]})


def test_a_row_is_good_by_what_shows_something():
    assert tally([agreement_record([1.0]), blind_record(1.0)]).state == GOOD
    assert tally([blind_record(1.0)]).state == NEUTRAL and tally([blind_record(1.0)]) == "shows nothing 1/1"


def test_calls_that_show_nothing_are_counted():
    lost = call_record([1.0])
    lost.parts["hvp: nearly nothing"] = blind_record(1.0).measurement
    assert calls_table([lost]).set_index("method")["torch"]["hvp"] == "holds, 2 calls, of which 1 show nothing"
