"""A wrong implementation is like the known mistake that fails as it does: shown on records made up for the purpose."""

import numpy as np
import pytest

from bench.mutants import DTYPE
from bench.resemblance import distance, nearest, pattern
from bench.store import AgreementRecord, ClaimRecord
from equivalence.claim import claims
from equivalence.mutant import CASE

STEPS = 2.0 ** -np.arange(1, 13)


def claim(name, coefficient, order=2, status="ok"):
    """A claim whose residual is coefficient·εᵒʳᵈᵉʳ where 1·ε² was claimed."""
    norms = coefficient * STEPS**order
    part = {
        "kind": "order",
        "order": 2,
        "steps": STEPS.tolist(),
        "norms": norms.tolist(),
        "tail": [1e-17],
        "coefficient_errors": [abs(coefficient - 1)] * (len(STEPS) - 1),
    }
    return ClaimRecord(
        claim=name, framework="torch", case=claims()[name].control, status=status, parts={"": part} if part else {}
    )


def usage(name, error):
    """A usage whose result is off by a relative error, of its own sign for each number."""
    signs = np.array([1.0, -1, 1, 1])
    measurement = {
        "kind": "agreement",
        "value": (error / 2**-53 * signs).tolist(),
        "gradient": (error / 2**-53 * signs).tolist(),
        "worst gradient": abs(error) / 2**-53,
        "rounding unit": 2**-53,
        "condition": [1.0, 1.0],
    }
    return AgreementRecord(
        usage=name, method="fgm", framework="torch", case=CASE, dtype=DTYPE, status="ok", measurement=measurement
    )


KNOWN = {
    "3 % too long": [claim("C1", 1.03), claim("C2", 1.03), usage("fgm", 0.03), usage("fgm linf", 0.03)],
    "twice as long": [claim("C1", 2.0), claim("C2", 2.0), usage("fgm", 1.0), usage("fgm linf", 1.0)],
    "the other way": [claim("C1", 1.0, 1), claim("C2", 1.0, 1), usage("fgm", -1.0), usage("fgm linf", -1.0)],
    "one norm for the batch": [claim("C1", 1.0), claim("C2", 0.3, 1), usage("fgm", 0.5), usage("fgm linf", 0.0)],
    "known by one claim alone": [claim("C1", 1.2)],
    "raises": [claim("C1", 1.0, status="failed"), claim("C2", 1.0, status="failed")],
}
PATTERNS = {mistake: [pattern(records)] for mistake, records in KNOWN.items()}


@pytest.mark.parametrize("mistake", KNOWN)
def test_a_planted_mistake_is_nearest_to_itself(mistake):
    found = nearest(PATTERNS[mistake][0], PATTERNS)
    assert found.mistake == mistake and found.distance == 0
    assert found.alike == found.checks == len(KNOWN[mistake])


@pytest.mark.parametrize(
    ("records", "mistake"),
    [
        ([claim("C1", 1.05), claim("C2", 1.05), usage("fgm", 0.05), usage("fgm linf", 0.05)], "3 % too long"),
        ([claim("C1", 3.0), claim("C2", 3.0), usage("fgm", 2.0), usage("fgm linf", 2.0)], "twice as long"),
        ([claim("C1", 1.0), claim("C2", 0.5, 1), usage("fgm", 0.1), usage("fgm linf", 0.0)], "one norm for the batch"),
        ([usage("fgm", -0.9)], "the other way"),  # by the sign alone
        ([claim("C2", 0.2, 1)], "one norm for the batch"),  # by the size of what is left over alone
    ],
)
def test_a_mistake_that_is_nearly_a_known_one_is_nearest_to_it(records, mistake):
    assert nearest(pattern(records), PATTERNS).mistake == mistake


def test_the_nearest_framework_counts():
    far, near = PATTERNS["the other way"][0], PATTERNS["3 % too long"][0]
    assert nearest(near, {"planted in two": [far, near]}).distance == 0


def test_nothing_is_near_where_nothing_was_planted_on_the_same_checks():
    assert nearest(PATTERNS["raises"][0], {}) is None
    assert nearest(pattern([usage("fgm", 1.0)]), {"elsewhere": [pattern([claim("C1", 2.0)])]}) is None


def test_other_cases_than_those_that_mistakes_are_planted_on_do_not_count():
    records = KNOWN["twice as long"]
    elsewhere = usage("fgm", 0.03).model_copy(update={"case": "digits-cnn"})
    assert nearest(pattern([*records, elsewhere]), PATTERNS) == nearest(pattern(records), PATTERNS)
    assert pattern([claim("C1", 2.0).model_copy(update={"case": "digits-cnn"})]) == {}
    assert pattern([usage("fgm", 1.0).model_copy(update={"dtype": "float32"})]) == {}


def test_distance_is_between_0_and_1_and_the_same_both_ways():
    marks = [mark for patterns in PATTERNS.values() for mark in patterns[0].values()]
    for a in marks:
        assert distance(a, a) == 0
        for b in marks:
            assert 0 <= distance(a, b) <= 1
            assert distance(a, b) == pytest.approx(distance(b, a))
