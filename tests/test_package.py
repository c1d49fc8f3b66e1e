"""The wheel in a fresh environment, used in a project that has a `bench`, an `impls` and an `equivalence` of its own.

For `tox run -e package` alone, which installs it and says so by EQUIREG_PACKAGE.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
QUICK = ("--claim", "F", "--quick")

FILES = {
    "bench/__init__.py": "MINE = 'bench'",
    "equivalence.py": "MINE = 'equivalence'",
    "impls.py": "FACTOR, MINE = 1, 'impls'",
    "typer.py": "raise RuntimeError('a module of the folder that the user stands in')",
    "right.py": """
        import impls
        from equireg.{framework} import fgm as reference

        def fgm(loss, x, *, radius, norm="l2", scope="sample"):
            return reference(loss, x, radius=impls.FACTOR * radius, norm=norm, scope=scope)
    """,
    "wrong.py": """
        from equireg.{framework} import fgm as reference

        def fgm(loss, x, *, radius, norm="l2", scope="sample"):
            return reference(loss, x, radius=1.03 * radius, norm=norm, scope=scope)
    """,
    "tests/__init__.py": "",
    "tests/test_own.py": """
        import pytest

        def test_right(equireg_verify):
            equireg_verify("right.py", framework="{framework}", claim="F", quick=True)

        def test_wrong(equireg_verify):
            with pytest.raises(pytest.fail.Exception, match="(?s)does not hold.*fgm.*first differs from the reference"):
                equireg_verify("wrong.py", framework="{framework}", claim=["F"], method="fgm", quick=True)

        def test_missing(equireg_verify):
            with pytest.raises(FileNotFoundError, match="left.py: not found in any of "):
                equireg_verify("left.py", framework="{framework}")

        def test_unusable(equireg_verify):
            with pytest.raises(RuntimeError, match="(?s)was not verified, exit status 2.*nearest: F"):
                equireg_verify("right.py", framework="{framework}", claim="FF")
    """,
    "pytest.ini": "[pytest]\nfilterwarnings = error",
}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The folder of the package."""
    code = "import equireg; print(equireg.__path__[0])"
    found = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path_factory.mktemp("empty"), capture_output=True
    )
    return Path(found.stdout.decode().strip())


@pytest.fixture
def project(tmp_path, framework):
    """Someone's project, a repository with a commit."""
    for name, text in FILES.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("\n        ", "\n").replace("{framework}", framework).strip() + "\n")
    if shutil.which("git"):
        for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "theirs"]):
            subprocess.run(
                ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], cwd=tmp_path / "project", check=True
            )
    return tmp_path / "project"


@pytest.fixture
def run(project, tmp_path):
    """Runs a command in the project, with a cache folder of the test's own."""
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}

    def call(*words, **variables):
        return subprocess.run(words, cwd=project, env=environment | variables, capture_output=True, text=True)

    return call


def test_methods_and_modules_of_the_same_names_live_in_one_process(run, project, package, framework):
    (project / "typer.py").unlink()
    code = (
        "import bench, equivalence, impls\n"
        f"from equireg.{framework} import adversarial_training, fgm\n"
        "import equireg.bench.__main__, equireg.equivalence.worker\n"
        "print(bench.MINE, equivalence.MINE, impls.MINE, fgm.__module__, adversarial_training.__module__)\n"
        "print(equireg.__path__[0])"
    )
    done = run(sys.executable, "-c", code)
    expected = f"bench equivalence impls equireg.impls.{framework}.adversarial equireg.impls.{framework}.training"
    assert done.stdout.splitlines() == [expected, str(package)], done.stderr


def test_the_command_verifies_a_file_and_writes_nothing(run, project, package, framework):
    before = listing(package), listing(project)
    done = run("equireg", "verify", "--impl", "right.py", "--framework", framework, *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "right.py replaces fgm" in done.stdout
    assert (listing(package), listing(project)) == before


def test_what_is_measured_is_kept_where_the_user_is_with_the_package_s_version(run, project, package, framework):
    before = listing(package)
    done = run("equireg", "verify", "--framework", framework, "--method", "fgm", *QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = project.glob("equireg-results/*/records.jsonl")
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    places = [record for record in records if record["kind"] == "environment"]
    assert [(place["commit"], place["dirty"]) for place in places] == [(VERSION, False)]
    assert listing(package) == before


def test_what_the_oracle_expects_is_kept_in_the_user_s_cache(run, package, tmp_path):
    before = listing(package)
    module = "equireg.bench.costs.expected_steps"
    done = run(sys.executable, "-P", "-m", module, "digits-mlp", str(tmp_path / "file.npz"), "plain")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.glob("cache/equireg/expected/digits-mlp plain *.npz")]
    assert listing(package) == before


def test_the_fixture_holds_a_project_to_the_claims(run, project):
    (project / "typer.py").unlink()  # `python -m pytest` puts the folder first, for the project's own modules
    done = run(sys.executable, "-m", "pytest", "-q", "tests")
    assert done.returncode == 0 and "4 passed" in done.stdout, done.stdout + done.stderr


def test_the_action_writes_what_it_found_into_the_summary(run, project, framework, tmp_path):
    """Its last step, which GitHub would run with these inputs."""
    step = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["runs"]["steps"][-1]
    assert step["env"]["IMPL"] == "${{ inputs.impl }}"
    summary = tmp_path / "summary.md"
    inputs = {"IMPL": "wrong.py", "FRAMEWORK": framework, "CLAIM": "F", "METHOD": "fgm", "QUICK": "true"}
    assert inputs.keys() == step["env"].keys()
    done = run("bash", "-e", "-c", step["run"], GITHUB_STEP_SUMMARY=str(summary), **inputs)
    assert done.returncode == 1, done.stdout + done.stderr
    text = summary.read_text(encoding="utf-8")
    assert text.startswith(f"### wrong.py does not hold in {framework}\n\n````text\nwrong.py replaces fgm\n")
    assert "first differs from the reference" in text and text.endswith("\n````\n")
    assert "first differs from the reference" in done.stdout


def test_a_type_checker_reads_the_contract(run, project, framework):
    lines = (
        f"from equireg.{framework} import fgm\n",
        "fgm(lambda x: x, fgm(lambda x: x, None, radius=1.0), radius=1.0, norm='l3')\n",
        "fgm(lambda x: x)\n",
    )
    (project / "used.py").write_text("".join(lines))
    said = run(sys.executable, "-m", "mypy", "used.py").stdout
    assert 'used.py:2: error: Argument "norm" to "fgm" has incompatible type "Literal[\'l3\']"' in said
    assert "used.py:3: error: Missing positional argument" in said or "used.py:3: error: Missing named" in said


def listing(folder):
    """Every file below a folder with its contents; what Python compiles beside its modules is no file of ours."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and not hidden(path)}


def hidden(path):
    return "__pycache__" in path.parts or ".git" in path.parts
