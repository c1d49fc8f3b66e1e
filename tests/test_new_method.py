"""A method of the contract is in every list beside its files that it belongs to: what lacks it says where to add it.

What need not have it is named with its reason, and fails as soon as it has it all the same.
"""

import importlib
import inspect
import re

import pytest

from bench.costs.methods import METHODS
from bench.places import ROOT
from bench.proofs.verify import STRUCTURES
from bench.report.tables.effects import PLAIN, TIMED
from bench.train.regimes import REGIMES
from equivalence import oracle
from equivalence.calls import calls
from equivalence.claim import claims
from equivalence.mutant import mutants
from equivalence.usages import usages
from impls.contract import MODULES

BY_FILE = {
    module: [name for name, stub in inspect.getmembers(found, inspect.isfunction) if stub.__module__ == found.__name__]
    for module, found in ((name, importlib.import_module(f"impls.contract.{name}")) for name in MODULES)
}
EVERY = [name for names in BY_FILE.values() for name in names]
PURE = "G1"  # asks of every method whether it leaves the rest alone, and of none whether its numbers are right


def texts(*paths):
    return set(re.findall(r"\w+", "".join((ROOT / path).read_text("utf-8") for path in paths)))


DRAWN = dict.fromkeys(BY_FILE["sampling"], "draws, and has no number that an oracle could state")
OF_ARRAYS = dict.fromkeys(("l2_norm", "unit", "steepest"), "of a gradient that nothing trains on by itself")
PARTS = dict.fromkeys(("project", "squared_error", "kl_divergence", "entropy"), "a part of steps that are timed")
DIRECTIONS = dict.fromkeys(("hvp", "top_eigenpair", "vat_perturbation"), "no training step by itself")
LISTS = {  # by the place to go to: what is in the list, and what need not be
    "a claim's `methods`": ({name for c in claims().values() if c.id != PURE for name in c.methods}, {}),
    "WATCHED in equivalence/parts/watched.py": (set(claims()[PURE].methods), {}),
    "USAGES in equivalence/usages.py": ({usage.method for usage in usages().values()}, DRAWN | OF_ARRAYS),
    "CALLS in equivalence/calls/<file>.py": ({call.method for call in calls().values()}, DRAWN),
    "its pullback in equivalence/oracle/<file>.py": (
        set(vars(oracle.pullbacks)),
        DRAWN | OF_ARRAYS | {"project": "inside ascents alone", "smooth_labels": "labels are no parameters"},
    ),
    "a mistake in equivalence/mutants": ({name for m in mutants().values() for name in m.methods}, {}),
    "METHODS in bench/costs/methods.py": (
        {method.usage.method for method in METHODS.values()},
        DRAWN | OF_ARRAYS | PARTS | DIRECTIONS,
    ),
    "tests/test_methods.py or tests/test_checks.py": (texts("tests/test_methods.py", "tests/test_checks.py"), {}),
}


@pytest.mark.parametrize("place", LISTS)
def test_every_method_is_in_the_list(place):
    there, excused = LISTS[place]
    missing = [name for name in EVERY if name not in there and name not in excused]
    assert not missing, f"{', '.join(missing)}: missing in {place}. Add it there, or say here why it needs none"
    assert not there.intersection(excused), f"{place} has what is excused from it: take it out of the excuses"


@pytest.mark.parametrize("module", MODULES)
def test_every_file_of_methods_is_in_the_documentation(module):
    text = (ROOT / "docs/methods.md").read_text("utf-8")
    assert f"| `{module}` |" in text, f"docs/methods.md: add a row for {module}"


def test_every_regime_is_beside_its_cost():
    of_tables = {"fgm table", "fgm articles", "gradient penalty table"}  # the cost tables time those of the output
    untimed = {PLAIN, "r-drop", *of_tables}  # the measure itself, and two plain passes
    assert set(TIMED) == set(REGIMES) - untimed, "TIMED in bench/report/tables/effects.py: name the regime's method"
    assert set(TIMED.values()) <= set(METHODS)


def test_usages_that_stand_for_others_are_there():
    assert set(usages()) >= STRUCTURES, "STRUCTURES in bench/proofs/verify.py: names a usage that is gone"
