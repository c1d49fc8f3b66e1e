"""`report`, `compare` and `export` from the command line: exit statuses, what is written, what is refused."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.commands import app, comparing
from bench.report import compare
from tests.report.made import claim_record, cost_record, cost_records, of_every_kind, power_law, store

FAILING = claim_record(part=power_law(order=1.0))


def invoke(*words):
    return CliRunner().invoke(app.app, [str(word) for word in words])


def test_a_report_is_two_pages(tmp_path):
    store(tmp_path, of_every_kind())
    said = invoke("report", "--out", tmp_path)
    assert said.exit_code == 0
    assert {"README.md", "index.html", "summary.md", "badge.json", "here"} <= {each.name for each in tmp_path.iterdir()}


def test_a_regression_is_exit_status_1_and_written(tmp_path):
    store(tmp_path / "base", [claim_record()])
    store(tmp_path / "new", [FAILING])
    places = tmp_path / "base", tmp_path / "new"
    said = invoke("compare", *places, "--markdown", tmp_path / "c.md", "--json", tmp_path / "c.json")
    assert said.exit_code == 1 and "started to fail" in said.output
    assert json.loads((tmp_path / "c.json").read_text())["regressions"] == 1
    assert "started to fail" in (tmp_path / "c.md").read_text()
    assert invoke("compare", tmp_path / "base", tmp_path / "base").exit_code == 0


def test_what_seems_slower_is_measured_twice_more(tmp_path, monkeypatch):
    """The two runs are measured by the timer's own machinery; here they come from a hat."""
    machine, codes = comparing.describe().machine, comparing.Codes()
    for name, ratio in (("base", 2.0), ("new", 2.3)):
        made = [*cost_records("plain", [0.99, 1.0, 1.01] * 2), *cost_records("fgm", [ratio] * 6)]
        for record in made:
            record.code = codes.of(record)
        store(tmp_path / name, made)
        (tmp_path / name / "here").rename(tmp_path / name / machine)
    seen, ratios = [], []

    def measure(session, planned, device, how):
        seen.append([cell.method for cell in planned])
        for record in [*cost_records("plain", [0.99, 1.0, 1.01] * 2), *cost_records("fgm", [ratios[-1]] * 6)]:
            session.store.append(record)

    monkeypatch.setattr(comparing, "timed_cells", measure)
    monkeypatch.setattr(comparing.arguments, "data", lambda: None)  # the samples are needed by who measures
    for ratio, status in ((2.3, 1), (2.0, 0)):
        ratios.append(ratio)
        said = invoke("compare", tmp_path / "base", tmp_path / "new", "--confirm")
        assert said.exit_code == status, said.output
    assert seen == [["plain", "fgm"]] * 2 * compare.FRESH


@pytest.mark.parametrize(("ratio", "status"), [(2.0, 0), (2.3, 1)])
def test_the_gate_times_again_what_seems_slower_and_that_alone(tmp_path, monkeypatch, ratio, status):
    """Rounds come from a hat: fgm is slower in the code here, vat and the plain step are not."""
    asked, rng = [], np.random.default_rng(0)

    def measure(tree, words, out, title):
        asked.append([word for word in words if not word.startswith("--")])
        moods = 1 + 1e-3 * rng.standard_normal(3)
        here = ratio if tree == comparing.ROOT else 2.0
        steps = [("plain", 1.0), ("fgm", here)] + [("vat", 3.0)] * ("vat" in words or "fgm" not in words)
        store(out, [cost_record(name, each * mood) for (name, each), mood in zip(steps, moods, strict=False)])

    monkeypatch.setattr(comparing, "measure", measure)
    monkeypatch.setattr(comparing, "unpack", lambda commit, folder: "")
    said = invoke(
        "gate", "HEAD", "--framework", "torch", "--no-claims", "--rounds", 6, "--json", tmp_path / "gate.json"
    )
    assert said.exit_code == status, said.output
    once, again = ["time", "torch"], ["time", "fgm", "torch", "eager", "mlp"]
    assert asked == [once] * 12 + ([again] * 24 if status else [])
    changed = [each["what"].split()[1] for each in json.loads((tmp_path / "gate.json").read_text())["changes"]]
    assert changed == ["fgm"] * status


@pytest.mark.parametrize("given", [[], ["--framework", "jax"]])
def test_a_framework_that_the_code_here_does_not_know_has_vanished(tmp_path, monkeypatch, given):
    """The base is asked for what it has, named or not, and the other side's silence is no pass."""

    def run(command, cwd, **options):
        out = Path(command[command.index("--out") + 1])
        if cwd != comparing.ROOT:
            store(out, [cost_record("plain", 1.0, framework="jax")])
        elif not given:
            store(out, [cost_record("plain", 1.0)])
        return subprocess.CompletedProcess(command, 0, "it knows torch alone", "")

    monkeypatch.setattr(comparing.subprocess, "run", run)
    monkeypatch.setattr(comparing, "unpack", lambda commit, folder: "")
    said = invoke("gate", "HEAD", *given, "--no-claims", "--rounds", 2, "--markdown", tmp_path / "gate.md")
    assert said.exit_code == 1 and ("it knows torch alone" in said.output) == bool(given)
    assert "| vanished | cost plain mlp jax eager" in (tmp_path / "gate.md").read_text()


def test_other_code_cannot_confirm(tmp_path):
    machine = comparing.describe().machine
    for name, ratio in (("base", 2.0), ("new", 2.3)):
        store(tmp_path / name, [*cost_records("plain", [0.99, 1.01] * 3), *cost_records("fgm", [ratio] * 6)])
        (tmp_path / name / "here").rename(tmp_path / name / machine)
    said = invoke("compare", tmp_path / "base", tmp_path / "new", "--confirm")
    assert said.exit_code == 2 and "check that out first" in said.output


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_what_cannot_be_compared_is_exit_status_2(tmp_path, name):
    (tmp_path / "empty").mkdir()
    store(tmp_path / "new", [FAILING])
    said = invoke("compare", tmp_path / name, tmp_path / "new")
    assert said.exit_code == 2 and name in said.output


def test_an_export_says_what_it_wrote(tmp_path):
    store(tmp_path / "results", of_every_kind())
    said = invoke("export", tmp_path / "tables", "--out", tmp_path / "results")
    assert said.exit_code == 0 and "cost.parquet: 6 records" in " ".join(said.output.split())
    assert (tmp_path / "tables" / "dictionary.csv").exists()
    assert invoke("export", tmp_path / "tables", "--format", "xlsx").exit_code == 2
    nothing = invoke("export", tmp_path / "tables", "--out", tmp_path / "nowhere")
    assert nothing.exit_code == 2 and "no such folder" in nothing.output
