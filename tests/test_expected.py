"""What the oracle expects is computed once and found again, for as long as the code that it came from is the same."""

import numpy as np
import pytest

from bench.costs import expected_steps
from bench.costs.expected_steps import Expected
from bench.costs.workloads import WORKLOADS, one_draw
from equivalence import cases


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A folder of its own, a small workload, and which methods were computed."""
    monkeypatch.setattr(expected_steps, "KEPT", tmp_path / "kept")
    monkeypatch.setitem(WORKLOADS, "small", lambda: one_draw(cases.REGISTRY["tanh-mlp"]()))
    computed, calls = expected_steps.computed, []
    monkeypatch.setattr(expected_steps, "computed", lambda *given: calls.append(given[1]) or computed(*given))
    return calls


def test_a_second_run_computes_nothing(kept, tmp_path):
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    expected_steps.expected("small", ["fgm"], first)
    expected_steps.expected("small", ["fgm"], second)
    assert kept == ["plain", "fgm"]
    a, b = Expected(first).arrays, Expected(second).arrays
    assert set(a) == set(b) and all(np.array_equal(a[name], b[name]) for name in a)
    expected_steps.write(WORKLOADS["small"](), ["fgm"], tmp_path / "anew.npz")
    assert all(np.array_equal(a[name], array) for name, array in np.load(tmp_path / "anew.npz").items())


def test_other_code_computes_again_and_leaves_one_file_a_method(kept, tmp_path, monkeypatch):
    expected_steps.expected("small", ["fgm"], tmp_path / "expected.npz")
    monkeypatch.setattr(expected_steps, "code", lambda: "0" * 12)
    expected_steps.expected("small", ["fgm"], tmp_path / "expected.npz")
    assert kept == ["plain", "fgm"] * 2
    names = {path.name for path in expected_steps.KEPT.iterdir()}
    assert names == {f"small {method} {'0' * 12}.npz" for method in ("plain", "fgm")}


def test_what_half_precision_must_give_is_of_its_own_numbers(kept, tmp_path):
    for dtype in ("float32", "bfloat16", "mixed bfloat16"):
        expected_steps.expected("small", ["fgm"], tmp_path / dtype, dtype)
    assert kept == ["plain", "fgm"] * 2  # mixed or not, the numbers are the same
    wide, half = (Expected(tmp_path / dtype).arrays["fgm/value"] for dtype in ("float32", "bfloat16"))
    assert 0 < np.abs(half - wide).max() < 2.0**-4


def test_what_does_not_apply_has_no_values(kept, tmp_path):
    expected_steps.expected("small", ["perturb_table"], tmp_path / "expected.npz")
    assert {name.partition("/")[0] for name in Expected(tmp_path / "expected.npz").arrays} == {"plain"}


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    """Whoever reads while another process writes finds the file before or after, never half of it."""
    path = tmp_path / "values.npz"
    expected_steps.save({"a": np.ones(3)}, path)

    def interrupted(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        expected_steps.save({"a": np.zeros(3)}, path)
    assert np.array_equal(np.load(path)["a"], np.ones(3))
