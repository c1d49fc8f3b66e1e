"""What is too large for the oracle is checked on a part of it, with the same parameters, and wrong steps are seen."""

from dataclasses import replace

import numpy as np
import pytest

from bench.costs import large
from bench.costs.cells import METHODS, QUICK_MODE, Cell
from bench.costs.expected_steps import Expected, write
from bench.costs.prepare import PreparedLarge, prepare
from bench.costs.workloads import WORKLOADS, build, of_parameters, one_draw
from equivalence.cases import REGISTRY
from equivalence.judge import AGREEMENT_UNITS
from equivalence.reference import Reference

FEW = ("plain", "fgm")


@pytest.fixture
def case(monkeypatch):
    """A small BERT that counts as large, two tokens of it as a part, and most gradients as too long to keep."""
    monkeypatch.setattr(large, "LARGE", 0)
    monkeypatch.setattr(large, "LENGTH", 4)
    monkeypatch.setattr(large, "ENTRIES", 50)
    large.chosen.cache_clear()
    yield one_draw(REGISTRY["bert"]())
    large.chosen.cache_clear()


def test_no_workload_is_checked_on_a_part_but_the_largest():
    names = [name for name in WORKLOADS if name != "bert-base"]
    assert all(large.checked(build(name)) is build(name) for name in names)


def test_a_part_has_the_first_tokens_and_their_rows_alone(case):
    part = large.checked(case)
    np.testing.assert_array_equal(part.params[part.table][part.tokens], case.params[case.table][case.tokens[:2, :4]])
    assert len(part.params[part.table]) == len(np.unique(case.tokens[:2, :4])) == part.tokens.max() + 1
    np.testing.assert_array_equal(part.mask, [[1, 1, 1, 1], [1, 1, 0, 0]])
    assert all(part.params[name] is case.params[name] for name in case.params if name != case.table)
    of_samples = {name: array.shape for name, array in part.extra.items() if not of_parameters(name)}
    assert of_samples == {
        **dict.fromkeys(("noise", "probes", "masks"), (1, 2, 4, 8)),
        **dict.fromkeys(("start", "vector"), (2, 4, 8)),
        **dict.fromkeys(("targets", "soft_labels", "class_weights"), (2, 3)),
        "class_probes": (1, 2, 3),
        "padding": (2, 4),
        "mix": (2,),
    }


def test_a_part_loses_what_the_whole_does(case):
    """What is cut off was padding before."""
    mask = np.zeros_like(case.mask)
    mask[0, :4] = mask[1, :2] = mask[2, :1] = 1
    whole, part = Reference(replace(case, mask=mask)).point, Reference(large.checked(case)).point
    np.testing.assert_allclose(part.loss(part.x), whole.loss(whole.x)[:2], rtol=1e-14)


def test_a_sampled_gradient_has_entries_of_the_whole_one(case):
    part = large.checked(case)
    whole, sampled = (kind(part).point for kind in (Reference, large.SampledReference))
    full, few = (point.loss.vjp(point.x, np.ones(2))[1] for point in (whole, sampled))
    assert {name: len(array) for name, array in few.items()} == {name: min(a.size, 50) for name, a in full.items()}
    assert max(len(array) for array in few.values()) < max(array.size for array in full.values())
    for name, array in few.items():
        assert np.isin(array, full[name]).all()


@pytest.mark.slow
@pytest.mark.parametrize("method", FEW)
def test_a_step_on_a_large_case_is_checked_on_its_part(framework, bridge, case, tmp_path, method):
    write(case, FEW, tmp_path / "expected.npz")
    want = Expected(tmp_path / "expected.npz")
    prepared = prepare(Cell(method, framework, QUICK_MODE[framework], "bert", "float64"), case)
    assert isinstance(prepared, PreparedLarge) and prepared.batch == case.batch
    result = prepared.run()
    assert len(result[0]) == case.batch
    assert want.units(method, prepared.numpy(result), "float64") <= AGREEMENT_UNITS
    other = next(name for name in FEW if name != method)
    assert want.units(other, prepared.numpy(result), "float64") > AGREEMENT_UNITS


def test_every_method_but_those_of_parameters_can_be_expected_of_a_part(case, tmp_path):
    write(case, METHODS, tmp_path / "expected.npz")
    arrays = Expected(tmp_path / "expected.npz").arrays
    whole = {name for name, method in METHODS.items() if method.unsupported(case)}
    assert whole == {name for name, method in METHODS.items() if method.whole} == METHODS.keys() - named(arrays)
    assert all(np.isfinite(arrays[f"{method}/gradient"]).all() for method in METHODS.keys() - whole)


def named(arrays):
    """The methods that there are arrays of."""
    return {name.partition("/")[0] for name in arrays}
