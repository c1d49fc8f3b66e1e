"""Files whose functions take other ways by default than the contract, and how they are called then."""

import numpy as np
import pytest

from bench.commands.app import app
from equivalence.calls import calls
from equivalence.calls.measure import compare, expectations, run_one
from equivalence.calls.scalars import SCALARS
from equivalence.foreign.guard import Guard
from equivalence.foreign.journal import Journal
from equivalence.foreign.loading import Scope, signature_problem, stubs
from equivalence.foreign.ways import as_known, other_defaults, told, written
from equivalence.mutant import planted
from equivalence.protocol import NotCovered
from tests.test_implementation import RUNNER


def twice(f, x, start, *, radius, xi=0.01, steps=1, how="finite_difference"): ...


def penalty(loss, x, *, norm="l2_squared", how="forward_over_reverse", xi=1e-3, with_loss=False): ...


def test_a_way_and_its_step_may_have_other_defaults():
    assert not signature_problem("vat_perturbation", twice)
    assert other_defaults(twice, stubs()["vat_perturbation"]) == {"how": "finite_difference", "xi": 0.01}
    assert not signature_problem("input_gradient_penalty", penalty)
    assert not other_defaults(stubs()["vat_loss"], stubs()["vat_loss"])


@pytest.mark.parametrize("default", ["0.0", "-1", "True", "'small'", "float('nan')"])
def test_a_step_that_is_none_is_refused(default):
    code = f"def made(f, x, start, *, radius, xi={default}, steps=1, how='fisher'): ..."
    exec(code, found := {})
    assert "the default of 'xi'" in signature_problem("vat_perturbation", found["made"])


def test_a_way_that_the_contract_does_not_know_is_refused():
    exec("def made(f, x, start, *, radius, xi=None, steps=1, how='mine'): ...", found := {})
    assert "the default of 'how' is 'mine'" in signature_problem("vat_perturbation", found["made"])


OWN = {"how": "finite_difference", "xi": 0.01}


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({}, {"how": "exact"}),
        ({"how": "fisher"}, {"how": "exact"}),
        ({"how": "exact", "xi": 0.1}, {"how": "exact", "xi": 0.1}),
        ({"how": "finite_difference", "xi": 0.1}, {"how": "finite_difference", "xi": 0.1}),
        ({"how": "exact", "xi": None}, {"how": "exact"}),
    ],
)
def test_it_is_called_so_that_it_gives_the_contract_s_number(options, known):
    given = {"how": "fisher", "xi": None} | options
    assert as_known("vat_perturbation", OWN, given, options) == known


def test_a_way_that_the_file_has_is_called_itself(tmp_path):
    """Though it is not the file's default: its text tells whether it is there, a docstring alone does not."""
    file = tmp_path / "own.py"
    file.write_text('"""No \'fisher\' here, nor fisher."""\nif how == "exact": ...')
    assert not written(str(file))
    (other := tmp_path / "other.py").write_text("""if how == 'fisher': ...""")
    has, given = written(str(other)), {"how": "fisher", "xi": None}
    assert as_known("vat_perturbation", OWN, given, {}, False, has) == {"how": "fisher"}
    assert "the same number" not in told("vat_loss", OWN, stubs()["vat_loss"], has)


def test_a_step_that_it_has_no_number_for_is_not_covered():
    given = {"how": "finite_difference", "xi": None}
    with pytest.raises(NotCovered, match=r"vat_perturbation: xi=None: the file's default is 0\.01"):
        as_known("vat_perturbation", OWN, given, {"how": "finite_difference"})


def test_in_single_precision_a_second_derivative_is_not_the_metric():
    """Where predictions hardly change it is 0 there."""
    with pytest.raises(NotCovered, match="how='fisher' in single precision"):
        as_known("vat_perturbation", OWN, {"how": "fisher", "xi": None}, {}, double=False)


def test_what_differs_is_told():
    said = told("vat_loss", OWN, stubs()["vat_loss"])
    assert "the default of 'how' is 'finite_difference', the contract's is 'fisher'" in said
    assert "how='exact'" in said


def test_the_guard_calls_it_so(methods, p, bridge, tmp_path):
    """A function of before the Fisher metric, its ways' names checked as the contract then had them."""

    def earlier(f, x, start, *, radius, xi=0.01, steps=1, how="finite_difference"):
        assert how in ("finite_difference", "exact")
        return methods.vat_perturbation(f, x, start, radius=radius, xi=xi, steps=steps, how=how)

    journal, right, file = Journal(str(tmp_path)), methods.vat_perturbation, tmp_path / "own.py"
    file.write_text('WAYS = ("finite_difference", "exact")')
    guard = Guard("vat_perturbation", earlier, right, str(file), bridge, journal, 60.0, Scope())
    found = guard(p.f, p.x, p.x, radius=0.5)
    assert np.allclose(bridge.to_numpy(found), bridge.to_numpy(right(p.f, p.x, p.x, radius=0.5)), rtol=1e-8, atol=0)


def test_a_gradient_into_the_radius_is_no_business_of_the_judge(bridge, methods):
    """`radius * direction` with a held direction is how everybody writes it."""

    def usual(loss, x, *, radius, **options):
        return radius * methods.fgm(loss, x, radius=1.0, **options)

    for name, call in calls().items():
        if call.method == "fgm" and call.case == "call-matrices":
            setting = f"{name} · {SCALARS}"
            found = run_one(bridge, planted(methods, {"fgm": usual}), "cpu", "float64", setting)
            judged = compare(found, *expectations(setting), "float64")
            assert max(map(abs, judged["value"] + judged["gradient"])) < 32, name
            break
    else:
        raise AssertionError("no call of fgm stands for all others")


EARLIER = """
from impls.{framework} import penalty

def input_gradient_penalty(loss, x, *, norm="l2_squared", how="double_backward", xi=0.01, with_loss=False):
    found = penalty.input_gradient_penalty(loss, x, norm=norm, how=how, xi=xi, with_loss=with_loss)
    return ({factor} * found[0], found[1]) if with_loss else {factor} * found
"""


@pytest.mark.slow
@pytest.mark.parametrize(("factor", "status"), [(1, 0), (2, 1)])
def test_files_of_an_earlier_contract_are_judged_by_what_they_compute(factor, status, framework, tmp_path):
    path = tmp_path / "own.py"
    path.write_text(EARLIER.format(framework=framework, factor=factor))
    ended = RUNNER.invoke(app, ["verify", "--impl", str(path), "--framework", framework, "--quick"])
    assert ended.exit_code == status, ended.output
    assert "the default of 'xi' is 0.01, the contract's is None" in " ".join(ended.output.split())
