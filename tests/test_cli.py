"""The command line: exit statuses, bad input before any work, and what is left behind."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

import impls
from bench.commands import arguments
from bench.commands.app import app
from bench.commands.measuring import passes, told
from bench.commands.verifying import verify_methods
from bench.proofs import verify
from bench.records.schema import AgreementRecord, ClaimRecord, SelfCheckRecord, VariationRecord
from bench.records.store import Store, read
from bench.running.job import Job, Outcome
from equivalence.agreement import references
from equivalence.claim import claims
from equivalence.measure import ROUNDING_UNIT
from equivalence.reference import known
from equivalence.usages import usages
from impls.contract import MODULES

CONTRACT = Path(impls.__file__).parent / "contract"
ROOT = Path(__file__).parents[1]
RUNNER = CliRunner()


def functions(path):
    return [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]


def invoke(*words):
    return RUNNER.invoke(app, [str(word) for word in words])


@pytest.mark.usefixtures("framework")
@pytest.mark.parametrize(
    ("option", "value", "nearest"),
    [
        ("--framework", "pytorch", "torch"),
        ("--claim", "C111", "C11"),
        ("--method", "fgsm", "fgm"),
        ("--workload", "digit-mlp", "digits-mlp"),
        ("--device", "tpu", "cpu"),
    ],
)
def test_unknown_names_get_the_nearest(option, value, nearest, tmp_path):
    said = invoke("verify", option, value, "--out", tmp_path)
    assert said.exit_code == 2
    assert value in said.output and nearest in said.output
    assert not (tmp_path / "README.md").exists()


@pytest.mark.usefixtures("framework")
def test_an_unknown_workload_of_time_is_refused(tmp_path):
    said = invoke("time", "--workload", "tanh-mlp", "--out", tmp_path)
    assert said.exit_code == 2 and "digits-mlp" in said.output


@pytest.mark.slow
def test_cuda_without_one_says_what_was_found(tmp_path, framework, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    said = invoke("verify", "--framework", framework, "--device", "cuda", "--out", tmp_path)
    assert said.exit_code == 2 and f"{framework} finds cpu" in said.output


def test_an_output_that_cannot_be_written_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "file"
    file.write_text("")
    for options in (("--out", file / "results"), ("--out", "ok", "--json", tmp_path), ("--out", "ok", "--json", ".")):
        said = invoke("verify", *options)
        assert said.exit_code == 2 and "cannot be written" in said.output
    assert file.read_text() == ""


@pytest.mark.usefixtures("framework")
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("verify", "--out", ""), "got no name, expected a folder"),
        (("merge", "a", "--out", " "), "got no name, expected a folder"),
        (("verify", "--shard", "١/٢"), "expected I/N"),
        (("verify", "--shard", "1/10000000000000000000000"), "expected I/N"),
        (("time", "--workload", "digits-mlp batch=3 batch=4"), "expected each size once"),
        (("time", "--workload", "digits-mlp batch=٣"), "each at least 1"),
    ],
)
def test_arguments_that_mean_nothing_or_two_things_are_refused(words, complaint, tmp_path):
    said = invoke(*words, *(() if "--out" in words else ("--out", tmp_path)))
    assert said.exit_code == 2 and complaint in said.output.replace("\n", "")


def test_a_framework_that_is_not_installed_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(impls, "installed", lambda: ["jax"])
    said = invoke("verify", "--framework", "torch", "--out", tmp_path)
    assert said.exit_code == 2 and "pip install torch" in said.output


def test_a_file_of_others_may_hold_half_of_the_memory_where_nothing_is_said():
    """An endless recursion takes a GiB a second, and the system would end whatever else runs."""
    assert arguments.for_others(None) == psutil.virtual_memory().total / 2**30 / 2
    assert arguments.for_others(3.0) == 3.0


def test_a_name_is_known_whatever_its_case():
    assert arguments.known("claim", ["c1", "f"], [*claims(), "F"]) == ["C1", "F"]


@pytest.mark.slow
def test_verify_measures_stores_and_judges(tmp_path, framework):
    said = invoke(
        "verify", "--framework", framework, "--claim", "C1", "--workload", "tanh-mlp",
        "--out", tmp_path, "--json", tmp_path / "records.json",
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    assert "holds 1/1" in said.output
    stored, problems = read(next(tmp_path.glob("*/records.jsonl")))
    measured = [record for record in stored if record.kind == "claim"]
    assert not problems
    assert {record.wrong for record in measured} == {""}
    [written] = json.loads((tmp_path / "records.json").read_text())
    assert written["holds"] is True and "slope" in written["reason"]
    assert [value for name, value in written["numbers"].items() if name.endswith("expected slope")] == [2]
    assert len(measured) == 1 and measured[0].reason == "", (
        "what is stored has no verdict: it is judged when it is read"
    )
    assert invoke("report", "--out", tmp_path).exit_code == 0
    assert "C1" in (tmp_path / "README.md").read_text()


def test_every_claim_has_a_unit_in_every_framework():
    chosen = verify.Chosen(claims=frozenset({*claims(), "F"}))
    jobs = verify.jobs(["torch", "jax"], chosen, "cpu", slots=2)
    for framework in ("torch", "jax"):
        tasks = [task for job in jobs if job.framework == framework for task in job.tasks]
        assert {task[1] for task in tasks if task[0] == "claim"} == set(claims())
        assert {task[2] for task in tasks if task[0] == "agreement"} == {"float64", "float32"}
        assert not any(task[-1] for task in tasks), "no mistake is planted in a verification"


def test_a_quick_run_has_every_claim_on_the_cases_that_stand_for_others():
    quick = verify.tasks(verify.Chosen(claims=frozenset({*claims(), "F"}), quick=True))
    asked = [(task[1], task[2]) for task in quick if task[0] == "claim"]
    assert asked == [(claim.id, case) for claim in claims().values() for case in (claim.control, *claim.quick)]
    assert set(claims()) == {claim for claim, _ in asked}
    assert sum(task[0] == "agreement" for task in quick) == 1


def test_every_method_that_computes_is_verified():
    contract = {name for module in MODULES for name in functions(CONTRACT / f"{module}.py")}
    drawn = {"rademacher", "gaussian", "uniform", "uniform_sphere", "uniform_ball", "dropout_mask"}
    drawn_or_within = drawn | {"l2_norm", "unit", "steepest"}  # tested by themselves; within the others
    assert contract - drawn_or_within <= set(verify_methods())


def test_what_passes_and_what_does_not():
    right = {"kind": "exact", "difference": 0.0, "scale": 1.0, "rounding unit": 1e-16}
    wrong = right | {"difference": 1.0}
    common = {"claim": "C1", "framework": "torch", "case": "tanh-mlp"}
    assert passes(ClaimRecord(**common, status="ok", parts={"a": right}))
    assert not passes(ClaimRecord(**common, status="ok", parts={"a": wrong}))
    assert not passes(ClaimRecord(**common, status="failed", reason="it died"))
    assert not passes(ClaimRecord(**common, status="ok", parts={}))
    varied = {"framework": "torch", "seed": 0, "status": "ok"}
    assert passes(VariationRecord(**varied, count=3))
    assert not passes(VariationRecord(**varied, count=0))
    assert not passes(VariationRecord(**varied, count=3, failures={"hvp": "off by 40"}))


def test_what_is_written_has_its_verdict():
    right = {"kind": "exact", "difference": 0.0, "scale": 1.0, "rounding unit": 1e-16}
    common = {"claim": "C1", "framework": "torch", "case": "tanh-mlp"}
    made = {
        True: ClaimRecord(**common, status="ok", parts={"a": right}),
        False: ClaimRecord(**common, status="ok", parts={"a": right | {"difference": 1.0}}),
        None: ClaimRecord(**common, status="interrupted", reason="the run was stopped"),
    }
    for holds, record in made.items():
        written = told(record)
        assert written["holds"] is holds and written["reason"] == record.verdict.reason != ""
        assert written["numbers"] == record.verdict.numbers and written["claim"] == "C1"
    assert told(ClaimRecord(**common, status="timeout", reason="took longer than 60 s"))["holds"] is False
    varied = VariationRecord(framework="torch", seed=0, status="ok", count=3, failures={"hvp": "off by 40"})
    assert told(varied)["holds"] is False and told(varied)["numbers"] == {}
    place = {"method": "plain", "mode": "eager", "workload": "digits-mlp"}
    assert told(SelfCheckRecord(framework="torch", status="ok", **place))["holds"] is True


def test_a_usage_that_raises_is_a_failure_of_its_own():
    job = Job("equivalence.worker", "torch", {"device": "cpu"}, [])
    task = ["agreement", ["tanh-mlp"], "float64", ["fgm", "hvp"], ""]
    (value, gradient), _ = references(usages()["hvp"], known("tanh-mlp"), ROUNDING_UNIT["float64"])
    found = {"fgm": {"error": "ValueError: no"}, "hvp": {"value": value.tolist(), "gradient": gradient.tolist()}}
    fgm, hvp = verify.records(Outcome(job, task, "ok", result={"tanh-mlp": found}))
    assert isinstance(fgm, AgreementRecord) and fgm.status == "failed" and "no" in fgm.reason
    assert hvp.status == "ok" and hvp.verdict.holds


@pytest.mark.parametrize(
    "found", [{}, {"value": [1.0], "gradient": [1.0]}, {"value": "all", "gradient": None}, {"kind": "agreement"}]
)
def test_what_is_no_result_of_a_usage_is_a_failure(found):
    job = Job("equivalence.worker", "torch", {"device": "cpu"}, [])
    task = ["agreement", ["tanh-mlp"], "float64", ["hvp"], ""]
    (record,) = verify.records(Outcome(job, task, "ok", result={"tanh-mlp": {"hvp": found}}))
    assert record.status == "failed" and record.reason and not record.verdict.holds


def test_a_torn_line_is_reported_and_costs_itself_alone(tmp_path):
    store = Store(tmp_path)
    record = ClaimRecord(claim="C1", framework="torch", case="tanh-mlp", status="ok")
    store.append(record)
    with store.path.open("ab") as file:
        file.write(store.path.read_bytes().splitlines()[-1][:40])  # a write that was cut off
    store.append(record.model_copy(update={"case": "softmax"}))
    records, problems = store.read()
    assert [record.case for record in records if record.kind == "claim"] == ["tanh-mlp", "softmax"]
    assert len(problems) == 1 and ":4:" in problems[0]
    said = invoke("report", "--out", tmp_path)
    assert said.exit_code == 1 and ":4:" in said.output.replace("\n", "")


def test_compacting_keeps_the_last_of_each(tmp_path):
    store = Store(tmp_path)
    for status in ("failed", "ok"):
        store.append(ClaimRecord(claim="C1", framework="torch", case="softmax", status=status))
    store.compact()
    assert [record.status for record in store.read()[0] if record.kind == "claim"] == ["ok"]


@pytest.mark.usefixtures("framework")
def test_sizes_and_checkpoints_are_refused_before_any_work(tmp_path):
    """A workload may state sizes; a checkpoint that cannot be used says what is wrong with it."""
    said = invoke("time", "--workload", "digits-mlp depth=3", "--out", tmp_path)
    assert said.exit_code == 2 and "batch=128" in said.output
    (tmp_path / "model.safetensors").write_text("no tensors")
    said = invoke("time", "--checkpoint", tmp_path / "model.safetensors", "--out", tmp_path)
    assert said.exit_code == 2 and "config.json: not found" in said.output


@pytest.mark.slow
@pytest.mark.parametrize("missing", [("pandas",), ("jinja2", "matplotlib", "markdown_it", "itables", "pyarrow")])
def test_without_a_package_it_works_or_says_which_one_is_missing(missing, tmp_path, framework):
    """Whatever a report needs is no reason for a traceback where nothing is reported."""
    words = ["verify", "--framework", framework, "--claim", "F", "--method", "entropy", "--quick", "--out", tmp_path]
    code = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({missing}));"
        f"sys.argv = {['bench', *map(str, words)]}; runpy.run_module('bench', run_name='__main__')"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "Traceback" not in found.stderr
    if found.returncode != 0:
        assert found.returncode == 2
        assert any(f"the package {name} is not installed" in found.stderr for name in missing)
        assert "pip install" in found.stderr
