"""What the oracle expects is computed once and found again, for as long as the code that it came from is the same."""

import numpy as np
import pytest

from bench import expected
from bench.expected import Expected
from bench.workloads import WORKLOADS, one_draw
from equivalence import cases


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A folder of its own, a small workload, and which methods were computed."""
    monkeypatch.setattr(expected, "KEPT", tmp_path / "kept")
    monkeypatch.setitem(WORKLOADS, "small", lambda: one_draw(cases.REGISTRY["tanh-mlp"]()))
    computed, calls = expected.computed, []
    monkeypatch.setattr(expected, "computed", lambda case, method: calls.append(method) or computed(case, method))
    return calls


def test_a_second_run_computes_nothing(kept, tmp_path):
    first, second = tmp_path / "first.npz", tmp_path / "second.npz"
    expected.expected("small", ["fgm"], first)
    expected.expected("small", ["fgm"], second)
    assert kept == ["plain", "fgm"]
    a, b = Expected(first).arrays, Expected(second).arrays
    assert set(a) == set(b) and all(np.array_equal(a[name], b[name]) for name in a)
    expected.write(WORKLOADS["small"](), ["fgm"], tmp_path / "anew.npz")
    assert all(np.array_equal(a[name], array) for name, array in np.load(tmp_path / "anew.npz").items())


def test_other_code_computes_again_and_leaves_one_file_a_method(kept, tmp_path, monkeypatch):
    expected.expected("small", ["fgm"], tmp_path / "expected.npz")
    monkeypatch.setattr(expected, "code", lambda: "0" * 12)
    expected.expected("small", ["fgm"], tmp_path / "expected.npz")
    assert kept == ["plain", "fgm"] * 2
    names = {path.name for path in expected.KEPT.iterdir()}
    assert names == {f"small {method} {'0' * 12}.npz" for method in ("plain", "fgm")}


def test_what_does_not_apply_has_no_values(kept, tmp_path):
    expected.expected("small", ["perturb_table"], tmp_path / "expected.npz")
    assert {name.partition("/")[0] for name in Expected(tmp_path / "expected.npz").arrays} == {"plain"}


def test_a_file_is_whole_or_not_there(tmp_path, monkeypatch):
    """Whoever reads while another process writes finds the file before or after, never half of it."""
    path = tmp_path / "values.npz"
    expected.save({"a": np.ones(3)}, path)

    def interrupted(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        expected.save({"a": np.zeros(3)}, path)
    assert np.array_equal(np.load(path)["a"], np.ones(3))
