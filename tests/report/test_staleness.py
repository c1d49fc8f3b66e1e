"""A record is stale where code that its worker loads has changed in meaning, and only there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.places import ROOT
from bench.records import source, staleness, versions
from bench.records.staleness import MEASURING, SHOWING, Basis, Codes, rests_on, sources, unused
from equivalence.published import written_in
from tests.report.made import agreement_record, claim_record, cost_record

WORKERS = {
    "claim": "equivalence.worker", "cost": "bench.costs.time_block", "cold": "bench.costs.time_cold",
    "peer": "bench.peers.time_block", "training": "bench.train.worker", "atlas": "equivalence.atlas.worker",
}  # fmt: skip
FAMILIES = tuple(f"equivalence/atlas/{name}/" for name in ("torch", "jax", "tensorflow"))
REGISTRIES = ("equivalence/claims/", "equivalence/mutants/", *FAMILIES)  # all of it is read to find the one that counts
STARTED = """
import importlib, json, pathlib, sys
worker = importlib.import_module(sys.argv[1])
job = {"framework": sys.argv[2], "device": "cpu", "cores": [0], "folder": "", "oracle": "", "tasks": []}
telling = [print] if sys.argv[1] == "bench.train.worker" else []
try:
    worker.start(job, *telling)
except KeyError:
    pass  # what a job of this kind says besides
loaded = {module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)}
print(json.dumps(sorted(loaded)))
"""
SMALL = {
    "impls/contract/noise.py": "def noise(x): ...\n\n\ndef other(x): ...\n",
    "impls/torch/noise.py": "def noise(x):\n    return Helper.help(x)\n\n\n"
    "class Helper:\n    help = TABLE['other']\n\n\n"
    "TABLE = {'other': other}\n\n\ndef other(x):\n    return x\n",
    "impls/torch/added.py": "ONE = 1\n",
    "impls/jax/noise.py": "def noise(x):\n    return x\n",
    "bench/costs/time_block.py": "BLOCK = 1\n",
    "bench/peers/ours.py": "OURS = 1\n",
    "bench/report/page.py": "PAGE = 1\n",
    "bench/commands/app.py": "APP = 1\n",
    "equivalence/judge.py": "LIMIT = 1\n",
    "equivalence/claims/c1_one.py": "CLAIM = 1\n",
    "equivalence/claims/c10_ten.py": "CLAIM = 10\n",
    "equivalence/mutants/factor.py": "FACTOR = 1\n",
}
RECORDS = {
    "claim": Basis("claim", "torch", "C1", ("noise",), False),
    "mutant": Basis("claim", "torch", "C1", (), True),
    "jax": Basis("claim", "jax", "C1", ("noise",), False),
    "ten": Basis("claim", "torch", "C10", ("noise",), False),
    "cost": Basis("cost", "torch", "", (), False),
    "peer": Basis("peer", "torch", "", (), False),
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of few lines; returns what changes a file of it and says which records that made stale."""
    monkeypatch.setattr(source, "ROOT", tmp_path)
    monkeypatch.setattr(staleness, "MODULES", ("noise", "other"))
    monkeypatch.setattr(staleness, "basis", RECORDS.get)
    for name, text in SMALL.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def change(name, before, after):
        fresh, path = Codes(), tmp_path / name
        codes = {record: fresh.of(record) for record in RECORDS}
        text = path.read_text() if path.exists() else ""
        assert before in text
        path.write_text(text.replace(before, after, 1) if before else text + after)
        fresh = Codes()
        return {record for record in RECORDS if fresh.of(record) != codes[record]}

    return change


@pytest.mark.parametrize(
    ("name", "outdated"),
    [
        ("impls/torch/added.py", {"claim", "mutant", "ten", "cost", "peer"}),
        ("impls/jax/noise.py", {"jax"}),
        ("equivalence/judge.py", set(RECORDS)),
        ("equivalence/claims/c1_one.py", {"claim", "mutant", "jax"}),
        ("equivalence/claims/c10_ten.py", {"ten"}),
        ("equivalence/mutants/factor.py", {"mutant"}),
        ("bench/costs/time_block.py", {"cost", "peer"}),
        ("bench/peers/ours.py", {"peer"}),
        ("bench/report/page.py", set()),
        ("bench/commands/app.py", set()),
    ],
)
def test_a_change_makes_stale_what_rests_on_it(project, name, outdated):
    assert project(name, "", "CHANGED = True\n") == outdated


def test_comments_docstrings_and_layout_make_nothing_stale(project):
    documented = '"""Noise."""\n    # as it is\n    return Helper.help(\n        x\n    )'
    assert not project("impls/torch/noise.py", "return Helper.help(x)", documented)


def test_a_method_that_nothing_names_makes_nothing_stale(project):
    assert not project("impls/contract/noise.py", "", "\n\ndef fresh(x): ...\n")
    assert not project("impls/torch/noise.py", "", "\n\ndef fresh(x):\n    return -x\n")
    planting = project("equivalence/mutants/factor.py", "", "NAMES = ['fresh']\n")
    assert project("impls/torch/noise.py", "return -x", "return -2 * x") == planting == {"mutant"}


def test_what_a_method_calls_counts(project):
    assert {"claim", "ten"} <= project("impls/torch/noise.py", "    return x\n", "    return 2 * x\n")


def test_names_of_methods_that_a_claim_calls_are_not_unused():
    """Virtual adversarial training rests on divergences and unit vectors, and not on the Laplacian."""
    wanted = Basis("claim", "torch", "D3", ("vat_loss",), False)
    without = unused(wanted, [file for file in sources() if rests_on(file, wanted)])
    assert "laplacian" in without and not {"vat_loss", "kl_divergence", "unit"} & without


def test_no_source_is_read_while_a_run_measures(monkeypatch):
    """Reading it takes seconds, beside the first step that is timed, on the same core where there is but one."""
    codes = Codes()
    codes.prepare()
    for name in ("parse", "walk"):
        monkeypatch.setattr(f"bench.records.source.ast.{name}", lambda *_: pytest.fail("source is read"))
    assert codes.of(claim_record()) and codes.of(cost_record("plain", 1.0))


@pytest.mark.slow
@pytest.mark.parametrize("kind", WORKERS)
def test_what_a_worker_loads_is_what_its_record_rests_on(kind, framework):
    command = [sys.executable, "-c", STARTED, WORKERS[kind], framework]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = {Path(path) for path in json.loads(said.splitlines()[-1])}
    loaded = {path.relative_to(ROOT).as_posix() for path in paths if ROOT in path.parents}
    loaded = {path for path in loaded if path.startswith(MEASURING) and not path.startswith((*SHOWING, *REGISTRIES))}
    known = {file.name for file in sources() if rests_on(file, Basis(kind, framework, "C1", (), False))}
    known |= {"equivalence/protocol.py"} if kind == "atlas" else set()  # how it talks to the run enters no number
    assert len(loaded) > 5 and loaded <= known


def test_records_of_every_kind_have_a_basis():
    codes = Codes()
    records = claim_record(), agreement_record([1.0, 2.0]), cost_record("plain", 1.0)
    assert len({codes.of(record) for record in records}) == len(records)


def test_a_published_function_rests_on_its_own_adapter_and_witness():
    adapter = written_in("torch", "torchgan", "dragan_gradient_penalty")
    assert set(adapter) == {"torchgan", "torchgan_penalty"}
    wanted = Basis("conformance", "torch", "", ("wgan_gradient_penalty",), False, adapter=adapter)
    names = {file.name.removeprefix("equivalence/published/") for file in sources() if rests_on(file, wanted)}
    assert {"package.py", "logits.py", "torch/torchgan.py", "witnesses/torchgan_penalty.py"} <= names
    assert not {"torch/foolbox.py", "witnesses/backpack_detach.py", "jax/optax.py"} & names


@pytest.mark.parametrize(
    ("here", "said"),
    [
        ({}, "foolbox 3.3.4, torch 2.13.0"),
        ({"torch": "2.14.0+cpu"}, "foolbox 3.3.4, torch 2.14.0"),
        ({"foolbox": "3.4.0", "torch": "2.13.0"}, "foolbox 3.4.0, torch 2.13.0"),
    ],
)
def test_a_page_is_built_without_the_packages_that_it_is_about(monkeypatch, here, said):
    """Of what is not installed the pinned version counts, whatever else is: that is what was measured."""
    monkeypatch.setattr(versions, "installed", lambda name: here.get(name, ""))
    monkeypatch.setattr(versions, "pins", lambda: {"foolbox": "3.3.4", "torch": "2.13.0"})
    assert versions.versions_on("foolbox", ("torch",)) == said
