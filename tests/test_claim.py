"""A claim names the functions of the contract that it calls, all and no others: by that it is chosen for a method."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from equivalence import trainees
from equivalence.claim import claims
from equivalence.mutant import planted
from equivalence.problem import Problem
from equivalence.reference import known


def noted(methods, called):
    """The methods; the names of those that are called are added to a set.

    Not for the loss that every problem has: a claim may be about anything that is done with a cross-entropy.
    """

    def note(name, method):
        def call(*arguments, **options):
            if sys._getframe(1).f_globals["__name__"] != Problem.__module__:
                called.add(name)
            return method(*arguments, **options)

        return call

    return SimpleNamespace(**{name: note(name, method) for name, method in vars(methods).items()})


def misnamed(claim, bridge, methods):
    """Functions that a claim calls and does not name, and that it names and does not call on any of its cases."""
    seen, unnamed, named = set(), set(), set(claim.methods)
    for case in dict.fromkeys((claim.control, *claim.cases)):
        called, reference = set(), known(case)
        used = noted(planted(methods, trainees.steps(methods)), called)
        for _ in claim.measure(Problem(reference.case, bridge, used, "float64"), reference):
            pass
        seen |= called
        unnamed |= called - claim.about(case)
        if seen >= named and not claim.by_case:
            break
    return unnamed, named - seen


@pytest.mark.slow
@pytest.mark.parametrize("claim", claims().values(), ids=claims())
def test_a_claim_names_the_functions_that_it_calls(claim, bridge, methods):
    assert misnamed(claim, bridge, methods) == (set(), set())


def test_a_wrong_list_would_be_seen(bridge, methods):
    claim = claims()["C5"]
    assert claim.methods[:1] == ("fgm",)
    assert misnamed(replace(claim, methods=claim.methods[1:]), bridge, methods) == ({"fgm"}, set())
    assert misnamed(replace(claim, methods=(*claim.methods, "entropy")), bridge, methods) == (set(), {"entropy"})
