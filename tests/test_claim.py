"""A claim names the functions of the contract that it calls, all and no others: by that it is chosen for a method."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from bench.proofs import verify
from equivalence import trainees
from equivalence.claim import claims
from equivalence.claims import g1_methods_are_pure
from equivalence.foreign.guard import Guard, asked_about
from equivalence.judge import judge
from equivalence.mutant import planted
from equivalence.parts import names
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


BY_METHOD = {"G1": g1_methods_are_pure, "G7": names}  # claims about each method by itself, and what picks methods


@pytest.mark.slow
@pytest.mark.parametrize(
    ("claim", "words"), [(claim, words) for claim in BY_METHOD for words in claims()[claim].wrong], ids=" ".join
)
def test_of_a_file_with_one_method_its_own_mistake_is_seen_without_the_others(
    claim, words, bridge, methods, monkeypatch
):
    stated = claims()[claim]
    replaced = stated.wrong[words](methods, bridge)
    monkeypatch.setattr(BY_METHOD[claim], "asked_about", lambda methods: set(replaced))
    used, reference = planted(methods, replaced), known(stated.control)
    found = list(stated.measure(Problem(reference.case, bridge, used, "float64"), reference))
    assert not all(judge(part).holds for _, part in found)
    assert claim == "G1" or {name.partition(",")[0].split()[0] for name, _ in found} == set(replaced)


def test_a_claim_about_each_method_by_itself_asks_about_those_of_the_file():
    own, theirs = Guard.__new__(Guard), object()
    assert asked_about(SimpleNamespace(fgm=own, pgd=theirs)) == {"fgm"}
    assert asked_about(SimpleNamespace(fgm=theirs, pgd=theirs)) == {"fgm", "pgd"}


def test_a_claim_is_measured_on_the_cases_where_a_method_is_called():
    def cases(method, quick):
        return [case for _, claim, case, _ in verify.claim_tasks(verify.Chosen(ids, {method}, quick=quick))]

    ids = frozenset(BY_METHOD)
    for quick in (False, True):
        assert cases("fgm", quick) == ["tanh-mlp", "softmax"]
        assert cases("perturb_table", quick) == ["reviews-text", "reviews-text"]
    for claim in claims().values():
        assert set().union(*map(claim.about, claim.cases)) == set(claim.methods)
