"""The wheel's code is the repository's under the names that it has there, and its stubs are the contract."""

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from equireg.facade import facade
from impls.contract import MODULES
from shipping import ARRAYS, ship
from shipping.relocation import relocate, relocated, unmoved
from shipping.stubs import stub

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

MOVED = {
    "from impls import checks": "from equireg.impls import checks",
    "    from impls.torch.norms import unit": "    from equireg.impls.torch.norms import unit",
    "import impls": "from equireg import impls",
    "import impls  # only now": "from equireg import impls  # only now",
    "import impls.torch as bridge": "import equireg.impls.torch as bridge",
    "'import json; import impls; impls.load()'": "'import json; from equireg import impls; impls.load()'",
    'import_module("impls")': 'import_module("equireg.impls")',
    'import_module(f"bench.costs.loops.{framework}")': 'import_module(f"equireg.bench.costs.loops.{framework}")',
    'name.startswith("impls.")': 'name.startswith("equireg.impls.")',
    'Job("equivalence.worker", framework)': 'Job("equireg.equivalence.worker", framework)',
    "type `python -m bench list`": "type `equireg list`",
    "python -m bench.costs.expected_steps WORKLOAD": "python -m equireg.bench.costs.expected_steps WORKLOAD",
}
KEPT = ("import torch", "from benchmarks import time", "imports impls", '("impls", "bench")', 'root / "bench/report"')


@pytest.mark.parametrize(("here", "there"), MOVED.items())
def test_names_are_moved(here, there):
    assert relocated(here) == there
    assert relocated(f"{here}\n{here}") == f"{there}\n{there}"


@pytest.mark.parametrize("line", KEPT)
def test_other_names_are_kept(line):
    assert relocated(line) == line


LOST = ("import json, impls", "import bench.store", "name = 'import impls, json'", "import_module(\n    'impls')")


@pytest.mark.parametrize("code", LOST)
def test_a_name_that_no_rule_moves_is_refused(code, tmp_path):
    assert list(unmoved(relocated(code)))
    for folder in ("equireg", "impls", "equivalence", "bench"):
        (tmp_path / "root" / folder).mkdir(parents=True)
    (tmp_path / "root" / "bench" / "lost.py").write_text(code)
    with pytest.raises(ValueError, match=r"bench/lost\.py:1: names one of impls, equivalence, bench in a way"):
        relocate(tmp_path / "root", tmp_path / "target")


def test_the_whole_of_it_is_moved(tmp_path):
    ship(ROOT, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["equireg"]
    files = {path.relative_to(tmp_path / "equireg").as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert files >= {"py.typed", "torch.pyi", "impls/torch/adversarial.py", "bench/report/templates/page.css"}
    assert not [name for name in files if "/test_" in name or "conftest" in name or "__pycache__" in name]


@pytest.mark.slow
def test_it_lives_in_one_process_with_modules_of_the_same_names(tmp_path, framework):
    """A module of the user's is what its name says; ours are found all the same."""
    ship(ROOT, tmp_path / "site-packages")
    for name in ("bench", "equivalence", "impls"):
        (tmp_path / f"{name}.py").write_text("THEIRS = True")
    code = (
        "import bench, equivalence, impls\n"
        "assert bench.THEIRS and equivalence.THEIRS and impls.THEIRS\n"
        f"from equireg.{framework} import adversarial_training, fgm\n"
        "import equireg.bench.__main__, equireg.equivalence.worker\n"
        "print(fgm.__module__)"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site-packages")}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == f"equireg.impls.{framework}.adversarial", done.stderr


def contract():
    """The contract's methods by name."""
    modules = [importlib.import_module(f"impls.contract.{module}") for module in MODULES]
    return {
        name: function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
    }


def declared(framework):
    """The functions of a stub file by name."""
    return {node.name: node for node in ast.parse(stub(ROOT, framework)).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("framework", ARRAYS)
def test_a_stub_has_the_contract(framework):
    found = declared(framework)
    for name, function in contract().items():
        assert inspect.cleandoc(function.__doc__) == ast.get_docstring(found[name]), name
        assert list(inspect.signature(function).parameters) == [argument.arg for argument in arguments(found[name])]
    assert all(argument.annotation for function in found.values() for argument in arguments(function))
    assert all(function.returns and ast.get_docstring(function) for function in found.values())


def arguments(function):
    return [*function.args.args, *function.args.kwonlyargs]


@pytest.mark.parametrize(("framework", "array"), ARRAYS.items())
def test_a_stub_says_the_types_plainly(framework, array):
    found = declared(framework)
    said = {argument.arg: ast.unparse(argument.annotation) for argument in arguments(found["fgm"])}
    assert said["x"] == array
    assert said["loss"] == f"Callable[[{array}], {array}]"
    assert said["radius"] == f"float | {array}"  # a number, or one that is traced
    assert said["norm"] == "Literal['l2', 'linf', 'l1', 'raw']"
    trained = {argument.arg: ast.unparse(argument.annotation) for argument in arguments(found["adversarial_training"])}
    assert (trained["norm"], trained["model" if framework != "jax" else "f"]) == (said["norm"], "Any")
    mixed = {argument.arg: ast.unparse(argument.annotation) for argument in arguments(found["adversarial_loss"])}
    assert mixed["clean_weight"] == "float"  # its being 0 decides what is computed: never traced


def test_a_framework_s_module_exports_the_contract(framework, methods):
    module = importlib.import_module(f"equireg.{framework}")
    assert set(dir(module)) == set(module.__all__) == set(declared(framework))
    for name in contract():
        assert getattr(module, name) is getattr(methods, name)
    training = importlib.import_module(f"impls.{framework}.training")
    assert module.adversarial_training is training.adversarial_training
    with pytest.raises(ImportError, match="fgmm"):
        exec(f"from equireg.{framework} import fgmm", {})


def test_the_example_in_the_docs_runs(framework, bridge):
    text = (ROOT / "docs" / "installing.md").read_text(encoding="utf-8")
    examples = [
        example for example in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "equireg_verify" not in example
    ]
    assert [example.splitlines()[0] for example in examples] == ["import torch"]
    if framework == "torch":
        exec(compile(examples[0], "installing.md", "exec"), {})


def test_a_framework_that_is_missing_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"jax is not installed: pip install 'equireg\[jax\]'"):
        facade("jax")


def group(name):
    """What a dependency group installs."""
    for each in PROJECT["dependency-groups"][name]:
        yield from group(each["include-group"]) if isinstance(each, dict) else [each]


def test_groups_install_what_the_package_depends_on():
    extras = PROJECT["project"]["optional-dependencies"]
    assert {name: list(group(name)) for name in extras} == extras
    assert {*group("run"), *group("data")} == {*PROJECT["project"]["dependencies"], *extras["bert"]}
