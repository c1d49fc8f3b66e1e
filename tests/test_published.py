"""The registry of published packages, what a word may stand beside, and a package of our own that is upgraded."""

import ast
import sys

import pytest

from bench.proofs import published
from bench.records.versions import pins
from bench.report.tables import conformance
from equivalence import published as registry
from equivalence.foreign.loading import stubs
from equivalence.measure import FULL
from equivalence.published import WITNESSES, adapters, packages, witness
from equivalence.published.package import CONVENTION, LIMIT, RIGHT, WRONG, Adapter, Package, contradiction
from impls.frameworks import FRAMEWORKS

EVERY = [(framework, adapter) for framework in FRAMEWORKS for adapter in adapters(framework).values()]
ADAPTERS = [pytest.param(*each, id=f"{each[0]} {each[1].name}") for each in EVERY]


@pytest.mark.parametrize(("framework", "adapter"), ADAPTERS)
def test_an_adapter_stands_for_a_function_of_the_contract(framework, adapter):
    assert adapter.method in stubs()
    assert adapter.place[0].startswith(f"{registry.__name__}.{framework}.")
    tree = ast.parse(adapter.text())
    [imported] = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert [(name.name, name.asname) for name in imported.names] == [(adapter.place[1], adapter.method)]


@pytest.mark.parametrize(("framework", "adapter"), ADAPTERS)
def test_a_word_is_given_for_the_pinned_version_and_with_a_reason(framework, adapter):
    assert adapter.package.version == pins()[adapter.package.name]
    assert len(adapter.reason) > 5 and not adapter.reason.endswith(".")


@pytest.mark.parametrize(("framework", "adapter"), ADAPTERS)
def test_a_limit_names_what_may_fail(framework, adapter):
    """A part of every name would let anything fail."""
    assert all(len(part) > 1 for part in adapter.shows)


def test_there_are_many_of_many_packages():
    assert len(EVERY) >= 40
    assert len({adapter.package.name for _, adapter in EVERY}) >= 20


def test_every_witness_is_of_something_wrong_and_short():
    named = {adapter.witness for _, adapter in EVERY if adapter.witness}
    assert named == {path.stem for path in WITNESSES.glob("*.py")}
    for name in named:
        tree = ast.parse(witness(name).read_text(encoding="utf-8"))
        assert ast.get_docstring(tree)
        assert sum(isinstance(node, ast.stmt) for node in ast.walk(tree)) - 1 < 20 and len(tree.body) - 1 < 15
        names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        names += [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
        assert not {name.partition(".")[0] for name in names} & {"impls", "equivalence", "bench"}


PACKAGE = Package("made-up", "1.0", ("made_up",))


def adapter(word, **facts):
    return Adapter(PACKAGE, "f", "fgm", ("made_up", "f"), word, "for no reason", "all", **facts)


@pytest.mark.parametrize(
    ("word", "facts", "held", "failing", "said"),
    [
        (RIGHT, {}, 3, [], ""),
        (RIGHT, {}, 3, ["F fgm"], "called right, and fails F fgm"),
        (RIGHT, {}, 0, [], "nothing was measured"),
        (WRONG, {}, 3, ["F fgm"], ""),
        (WRONG, {}, 3, [], "called wrong, and holds all 3"),
        (WRONG, {"shows": ("C2",)}, 3, ["F fgm"], "does not show"),
        (CONVENTION, {}, 3, [], "called convention, and holds"),
        (LIMIT, {"shows": ("tiny",)}, 3, ["F fgm (tiny-gradients float32)"], ""),
        (LIMIT, {"shows": ("tiny",)}, 3, ["F fgm (tanh-mlp float32)"], "fails beyond it"),
        (LIMIT, {}, 3, [], "no limit shows"),
        (LIMIT, {"dtypes": ("float32",)}, 3, [], ""),
        (LIMIT, {"gradients": False}, 3, [], ""),
    ],
)
def test_a_word_that_measurements_contradict_does_not_stand(word, facts, held, failing, said):
    found = contradiction(adapter(word, **facts), held, failing)
    assert (said in found) if said else not found


def test_what_is_wrong_needs_a_witness_and_nothing_else_has_one():
    with pytest.raises(ValueError, match="expected a witness"):
        PACKAGE.adapts("f", "fgm", WRONG, "for no reason")
    with pytest.raises(ValueError, match="expected a witness"):
        PACKAGE.adapts("f", "fgm", RIGHT, "for no reason", witness="torchgan_penalty")
    with pytest.raises(ValueError, match="expected one of"):
        PACKAGE.adapts("f", "fgm", "fine", "for no reason")


def test_a_package_that_is_not_installed_is_skipped_with_that_said():
    record = published.unusable("torch", adapter(RIGHT), "skipped", "made-up is not installed")
    assert record.verdict.holds and "not installed" in record.verdict.reason
    assert published.measure("torch", adapter(RIGHT), 1, True, None).status == "skipped"


def test_a_report_to_the_authors_has_the_script(monkeypatch):
    monkeypatch.setattr(published, "run_witness", lambda name: "2 for 1\n")
    [(framework, wrong), *_] = [each for each in EVERY if each[1].word == WRONG]
    text = published.draft(framework, wrong.name)
    assert witness(wrong.witness).read_text(encoding="utf-8") in text and "2 for 1" in text
    [(framework, right), *_] = [each for each in EVERY if each[1].word == RIGHT]
    assert "nothing to report" in published.draft(framework, right.name)


MODULE = """
import numpy, urllib.request
{imported}

def step(gradient, radius):
    {called}
    return radius * gradient / {norm}
"""
SEEDED = "numpy.random.seed(0)"
FETCHED = "urllib.request.urlopen('http://nowhere.invalid/weights')"
NEEDS_A_GPU = "raise RuntimeError('no CUDA GPUs are available')"
OWN = """
def small(loss, x, *, radius, norm="l2", scope="sample"):
    import made_up, impls
    from equivalence.published.package import only
    only(norm == "raw", "the raw gradient")
    bridge = impls.load({framework!r})
    return bridge.fixed(made_up.step(bridge.gradient(loss, x), radius))
"""


@pytest.fixture
def installed(tmp_path, monkeypatch, framework):
    """What installs a version of a package of our own, and measures its function, which somebody gave a word."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "made_up_own.py").write_text(OWN.format(framework=framework))

    def measured(version, word, norm=1, imported="", called="pass", **facts):
        text = MODULE.format(norm=norm, imported=imported, called=called)
        (tmp_path / "made_up.py").write_text(text)
        for old in tmp_path.glob("*.dist-info"):
            (old / "METADATA").unlink()
            old.rmdir()
        info = tmp_path / f"made_up-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: made-up\nVersion: {version}\n")
        monkeypatch.setattr(published, "installed", lambda name: version)
        monkeypatch.setattr(published, "version_of", lambda framework, package: f"made-up {version}")
        found = Adapter(PACKAGE, "step", "fgm", ("made_up_own", "small"), word, "as it is", "raw", **facts)
        return published.measure(framework, found, 1, True, ask)

    return measured


def ask(jobs, records_of):
    """Have the jobs done, without a progress bar."""
    from bench.records.machine import cores
    from bench.running.job import Outcome
    from bench.running.local import run

    heard = []
    run(jobs, [cores()], heard.append)
    return [record for each in heard if isinstance(each, Outcome) for record in records_of(each)]


@pytest.mark.slow
def test_an_upgrade_changes_the_table_as_it_should(installed):
    right = installed("1.0", RIGHT, called="print('hello')")
    assert right.status == "ok" and not right.contradiction and right.dtypes == FULL
    assert right.printed == "hello" and right.worst < 32
    broken = installed("1.1", RIGHT, norm=1.05)
    assert "called right, and fails" in broken.contradiction and not broken.verdict.holds
    table = conformance.functions_table([right, broken])
    [row] = table.to_dict("records")
    assert "1.1, judged in 1.0" in row["version"] and row["word"].state == "bad"
    mended = installed("1.2", WRONG, norm=1)
    assert "called wrong, and holds" in mended.contradiction


@pytest.mark.slow
@pytest.mark.parametrize(
    ("called", "said"),
    [
        (SEEDED, "changed NumPy's global random generator"),
        (FETCHED, "asked for the network"),
        (NEEDS_A_GPU, "no CUDA GPUs are available"),
        ("raise SystemExit(3)", "called exit(3)"),
    ],
)
def test_what_a_function_does_to_its_process_is_contained_and_said(installed, called, said):
    record = installed("1.0", RIGHT, called=called)
    assert record.status == "ok" and "called right, and fails" in record.contradiction
    assert all(said in reason for reason in record.failing.values())


@pytest.mark.slow
def test_what_importing_a_package_does_is_contained_and_said(installed):
    seeded = installed("1.0", RIGHT, imported=SEEDED)
    assert not seeded.contradiction and "NumPy's global random generator" in seeded.changes
    for imported, said in ((FETCHED, "asked for the network"), (NEEDS_A_GPU, "no CUDA GPUs are available")):
        record = installed("1.0", RIGHT, imported=imported)
        assert record.status == "failed" and said in record.reason and not record.verdict.holds


@pytest.mark.slow
def test_a_package_that_cannot_be_imported_says_why(installed):
    record = installed("1.0", RIGHT)
    assert record.status == "ok"
    broken = published.measure(
        record.framework,
        Adapter(
            Package("made-up", "1.0", ("nowhere_at_all",)), "f", "fgm", ("made_up_own", "small"), RIGHT, "r", "raw"
        ),
        1,
        True,
        ask,
    )
    assert broken.status == "failed" and "nowhere_at_all" in broken.reason and not broken.verdict.holds
    refused = published.refused(record.framework, Package("made-up", "1.0", ("nowhere_at_all",), refused="is gone"))
    assert refused.status == "unsupported" and "nowhere_at_all" in refused.reason


def test_packages_are_named_by_their_distribution():
    for framework in FRAMEWORKS:
        assert all(name == package.name and package.imports for name, package in packages(framework).items())
