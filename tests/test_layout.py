"""The three folders keep the contract, imports point one way; and the checker of both reports what is broken."""

import ast
import importlib
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from equivalence import oracle
from impls.contract import MODULES
from tests import layout

ROOT = Path(__file__).parents[1]


def test_layout_is_kept():
    assert layout.complaints(ROOT) == []


def test_modules_lists_every_stub_of_methods():
    assert set(MODULES) == layout.stubs(ROOT) - {"models", "training"}


def test_importing_the_proofs_imports_no_framework():
    code = (
        "import pkgutil, sys, equivalence, impls.checks, impls.contract\n"
        "names = ('torch', 'jax', 'tensorflow')\n"
        "folders = ('divided', 'mixed', 'state', 'trainees')\n"  # with files that are loaded by name
        "own = {f'equivalence.{folder}.{name}' for folder in folders for name in names}\n"
        "models = tuple(f'equivalence.own_models.{name}' for name in names)\n"
        "own |= {f'equivalence.atlas.{name}.transforms' for name in names}\n"
        "for module in pkgutil.walk_packages(equivalence.__path__, 'equivalence.'):\n"
        "    module.name in own or module.name.startswith(models) or __import__(module.name)\n"
        "print([name for name in names if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


CONTRACT_METHODS = [
    pytest.param(stub, id=name)
    for module in MODULES
    if module != "sampling"  # the oracle draws nothing
    for name, stub in inspect.getmembers(importlib.import_module(f"impls.contract.{module}"), inspect.isfunction)
]


@pytest.mark.parametrize("stub", CONTRACT_METHODS)
def test_oracle_has_the_method_with_the_same_parameters(stub):
    found = getattr(oracle.values, stub.__name__)
    got = inspect.signature(getattr(found, "function", found)).parameters
    wanted = inspect.signature(stub).parameters
    options = [name for name, parameter in got.items() if parameter.kind is inspect.Parameter.VAR_KEYWORD]
    named = [name for name in got if name not in options]
    assert named == list(wanted)[: len(named)]
    passed_on = [parameter for name, parameter in wanted.items() if name not in named]
    assert bool(options) == bool(passed_on)
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in passed_on)


# The checker itself: a copy of the repository is broken in one place, and that place must be named.


def replaced(old, new):
    def edit(text):
        assert old in text, f"{old!r} is gone: this test breaks nothing"
        return text.replace(old, new)

    return edit


def appended(line):
    return lambda text: f"{text}\n{line}\n"


BROKEN = {
    "drifted default": ("impls/jax/virtual_adversarial.py", replaced("xi=None", "xi=1e-6"), "xi=1e-06"),
    "renamed parameter": ("impls/torch/noise.py", replaced("noise", "z"), "noisy_loss(loss, x, z)"),
    "positional option": (
        "impls/tensorflow/adversarial.py",
        replaced("x, *, radius", "x, radius"),
        "fgm(loss, x, radius",
    ),
    "swapped parameters": (
        "impls/jax/curvature.py",
        replaced("(loss, x, vector)", "(x, loss, vector)"),
        "hvp(x, loss,",
    ),
    "missing function": ("impls/tensorflow/losses.py", replaced("def entropy", "def _entropy"), "entropy is missing"),
    "foreign import": ("impls/jax/penalty.py", appended("import torch.nn"), "imports torch"),
    "foreign import in a function": ("impls/jax/noise.py", appended("def _f():\n    import keras"), "imports keras"),
    "another folder's import": ("impls/torch/noise.py", appended("from impls import jax"), "imports impls.jax"),
    "relative import": ("impls/torch/noise.py", appended("from ..jax import norms"), "imports ."),
    "extra function": (
        "impls/torch/losses.py",
        appended("def hinge(x):\n    return x"),
        "hinge is not in the contract",
    ),
    "extra name": ("impls/torch/losses.py", appended("hinge = None"), "hinge is not in the contract"),
    "unchecked method": ("impls/torch/norms.py", replaced("@checked\ndef unit", "def unit"), "unit is not @checked"),
    "bridge without a mode": ("impls/jax/__init__.py", replaced("SWEEP_MODE", "_SWEEP"), "SWEEP_MODE is missing"),
    "drifted bridge": ("impls/jax/__init__.py", replaced('device="cpu"', 'device="cuda"'), "from_numpy(array,"),
    "model drifts": (
        "impls/jax/models.py",
        replaced("def text(params, x, mask)", "def text(params, x)"),
        "text(params, x)",
    ),
    "framework in the contract": ("impls/contract/types.py", appended("import jax.numpy"), "imports jax"),
    "framework in a claim": ("equivalence/claim.py", appended("if True:\n    import tensorflow"), "imports tensorflow"),
    "foreign trainee": (
        "equivalence/trainees/torch.py",
        appended("def f():\n    import keras"),
        "imports keras",
    ),
    "foreign model": ("equivalence/own_models/torch_parts.py", appended("import jax"), "imports jax"),
    "framework in an entry": ("equivalence/atlas/jax/normalisations.py", appended("import jax"), "imports jax"),
    "foreign transforms": ("equivalence/atlas/jax/transforms.py", appended("import torch"), "imports torch"),
    "foreign state": ("equivalence/state/jax.py", appended("import torch"), "imports torch"),
    "framework in the oracle": (
        "equivalence/oracle/trees.py",
        appended("from impls import torch"),
        "imports impls.torch",
    ),
    "methods look up": ("impls/checks.py", appended("from equivalence import cases"), "imports equivalence"),
    "proofs look up": ("equivalence/measure.py", appended("def f():\n    import bench.records.store"), "imports bench"),
    "a room looks up": ("bench/records/store.py", appended("from bench import running"), "imports bench.running"),
    "a room looks beside it": (
        "bench/costs/cells.py",
        appended("def f():\n    from bench.train import data"),
        "imports bench.train",
    ),
    "the suite looks up": ("bench/running/resume.py", appended("from equireg import torch"), "imports equireg"),
}


@pytest.fixture
def copy(tmp_path):
    for folder in ("impls", "equivalence", "bench"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize(("file", "edit", "complaint"), BROKEN.values(), ids=BROKEN)
def test_broken_copy_is_reported(copy, file, edit, complaint):
    path = copy / file
    path.write_text(edit(path.read_text(encoding="utf-8")), encoding="utf-8")
    found = layout.complaints(copy)
    assert any(said.startswith(f"{file}: ") and complaint in said for said in found), found


def test_missing_and_extra_files_are_reported(copy):
    (copy / "impls/jax/noise.py").rename(copy / "impls/jax/sound.py")
    found = layout.complaints(copy)
    assert "impls/jax: noise.py is missing" in found
    assert "impls/jax: sound.py is not in the contract" in found


def test_a_function_may_import_a_framework():
    tree = ast.parse("import numpy\ndef f():\n    import torch\n")
    assert list(layout.imports(tree, everywhere=False)) == ["numpy"]
    assert list(layout.imports(tree, everywhere=True)) == ["numpy", "torch"]


@pytest.mark.parametrize("path", sorted((ROOT / "equivalence/claims").glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_a_claim_is_short(path):
    """What is long is shared: it belongs in `equivalence/parts`. A file may take the lines that it needs to be read."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert all(node.end_lineno - node.lineno < 25 for node in functions)
    assert len(tree.body) < 20


def test_a_new_room_of_bench_stands_on_a_floor(copy):
    (copy / "bench" / "attic").mkdir()
    (copy / "bench" / "attic" / "__init__.py").touch()
    assert "bench/attic: stands on no floor" in layout.complaints(copy)


NAMED = re.compile(r"`(?:python -m )?((?:bench|equivalence|impls)(?:\.[A-Za-z_]\w*)+)")


def test_modules_and_names_that_texts_mention_are_there():
    """What is moved or renamed is so in docstrings, comments and documents, too; the changelog tells of what was."""
    texts = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    texts += [path for folder in ("bench", "equivalence", "impls", "tests") for path in (ROOT / folder).rglob("*.py")]
    lost = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in texts
        for name in NAMED.findall(path.read_text(encoding="utf-8"))
        if not is_there(name)
    ]
    assert not lost


def is_there(dotted: str) -> bool:
    """Whether a module, or a name at the top of one, is so called."""
    *parents, last = dotted.split(".")
    place = ROOT.joinpath(*parents)
    if (place / last).is_dir() or (place / f"{last}.py").exists():
        return True
    module = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return module.exists() and bool(
        re.search(rf"^(?:def |class |from .*)?\b{last}\b", module.read_text(), re.MULTILINE)
    )
