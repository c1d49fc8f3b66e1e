"""What the oracle gives is kept for the same code, and for no other."""

import pytest

from bench.proofs import comparison
from bench.records import source
from bench.running import caches, kept
from equivalence.agreement import references
from equivalence.calls.measure import expectations
from equivalence.measure import ROUNDING_UNIT
from equivalence.reference import known
from equivalence.usages import usages


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "FOLDER", tmp_path / "oracle")
    for function in (kept.folder, comparison.expected, comparison.expected_of_call):
        function.cache_clear()
    yield tmp_path / "oracle"
    for function in (kept.folder, comparison.expected, comparison.expected_of_call):
        function.cache_clear()


def computed(found, times):
    times.append(found)
    return found


def test_a_value_is_computed_once():
    times = []
    assert [kept.kept("a", lambda: computed(7, times)) for _ in range(2)] == [7, 7]
    assert times == [7]


def test_other_source_finds_nothing(tmp_path, monkeypatch):
    """A file of the oracle that changes, or appears, makes everything be computed anew."""
    (tmp_path / "equivalence").mkdir()
    monkeypatch.setattr(source, "ROOT", tmp_path)
    codes = []
    for text in ("a = 1", "a = 2"):
        (tmp_path / "equivalence" / "one.py").write_text(text)
        codes.append(kept.code(kept.ORACLE))
    (tmp_path / "equivalence" / "two.py").write_text("")
    assert len({*codes, kept.code(kept.ORACLE)}) == 3


def test_what_was_cut_off_is_computed_anew(folder):
    kept.kept("a", lambda: [1.0] * 100)
    (path,) = folder.glob("*/a.pickle")
    for length in (0, 5):
        path.write_bytes(path.read_bytes()[:length])
        assert kept.kept("a", lambda: 8) == 8


def test_a_folder_that_cannot_be_written_to_costs_time_alone(folder):
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("a file is in its place")
    assert kept.kept("a", lambda: 7) == 7


def test_values_of_few_other_codes_are_kept(folder, monkeypatch):
    for number in range(6):
        monkeypatch.setattr(kept, "code", lambda sources, number=number: str(number))
        kept.folder.cache_clear()
        kept.kept("a", lambda: 7)
    assert len(list(folder.iterdir())) == kept.CODES


def test_what_is_kept_is_what_the_oracle_gives():
    for _ in range(2):
        comparison.expected.cache_clear()
        comparison.expected_of_call.cache_clear()
        (value, gradient), scales = comparison.expected("fgm", "tanh-mlp", "float32")
        (by_oracle, slope), size = references(usages()["fgm"], known("tanh-mlp"), ROUNDING_UNIT["float32"])
        assert (value == by_oracle).all() and (gradient == slope).all() and scales == size
        parts, _ = comparison.expected_of_call("fgm: l2, vectors")
        assert (parts[0].value == expectations("fgm: l2, vectors")[0][0].value).all()


def test_files_of_all_usages_and_calls_have_names_of_their_own():
    from equivalence.calls import calls

    for names in (calls(), usages()):
        assert len({comparison.file_name(name) for name in names}) == len(names)


def test_programs_for_another_processor_are_not_taken(monkeypatch):
    monkeypatch.setattr(caches.importlib.metadata, "version", lambda name: "1.0")
    folders = set()
    for name in ("with AVX", "without"):
        monkeypatch.setattr(caches, "processor", lambda name=name: name)
        folders.add(caches.lasting()["JAX_COMPILATION_CACHE_DIR"])
    assert len(folders) == 2
