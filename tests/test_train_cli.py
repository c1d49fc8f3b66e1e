"""`python -m bench train`: a study from the command line, on data of one's own, interrupted, with wrong arguments."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.commands.app import app
from bench.records.schema import TrainingRecord
from bench.records.staleness import Codes
from bench.records.store import read
from bench.running.job import Outcome
from bench.running.local import Local
from bench.train import study, unfinished
from bench.train.loop import started
from bench.train.regimes import REGIMES
from tests.test_clue import checkpoint, folder  # noqa: F401 - fixtures

RUNNER = CliRunner()


def invoke(*words):
    return RUNNER.invoke(app, ["train", *map(str, words)])


def stored(out):
    (path,) = out.glob("*/records.jsonl")
    return [record for record in read(path)[0] if isinstance(record, TrainingRecord)]


@pytest.fixture
def told(monkeypatch):
    """Runs that are asked for, by a machine whose likelihoods prefer small strengths; `after` so many it is stopped."""
    tasks = []

    def run(self, jobs, slots, say, device=""):
        for job in jobs:
            for task in job.tasks:
                if len(tasks) >= run.after:
                    say(Outcome(job, task, "interrupted", "stopped"))
                    continue
                tasks.append((job.arguments["part"], *task))
                status = "diverged" if task[1] == run.lost else "ok"
                found = {"status": status, "accuracy": 0.8, "nll": task[2] + 0.1, "step": 0.01}
                say(Outcome(job, task, "ok", result=found))
        if len(tasks) >= run.after:
            raise KeyboardInterrupt

    run.after, run.lost = 10**9, ""
    monkeypatch.setattr(Local, "run", run)
    return SimpleNamespace(tasks=tasks, run=run)


STRENGTHS = REGIMES["fgm"].strengths
ASK = ("--framework", "torch", "--dataset", "digits-100", "--regime", "plain", "--regime", "fgm", "--seeds", "3")


@pytest.fixture(autouse=True)
def _installed(monkeypatch):
    """What is asked of the command line does not depend on what is installed here."""
    monkeypatch.setattr("impls.installed", lambda: ["torch", "jax", "tensorflow"])


def test_a_study_searches_and_then_judges(tmp_path, told):
    said = invoke(*ASK, "--out", tmp_path)
    assert said.exit_code == 0, said.output
    tried = [task for task in told.tasks if task[0] == "validation"]
    judged = [task for task in told.tasks if task[0] == "test"]
    assert {task[2] for task in tried} == {"fgm"} and {task[4] for task in tried} == set(study.TUNING_SEEDS)
    beyond = sorted({task[3] for task in tried} - set(STRENGTHS))
    assert len(beyond) == study.EXTENSIONS and max(beyond) < min(STRENGTHS), "likelihood prefers the smallest"
    assert {task[3] for task in judged if task[2] == "fgm"} == {beyond[0]}
    assert {(task[2], task[4]) for task in judged} == {(name, seed) for name in ("plain", "fgm") for seed in range(3)}
    assert "fgm" in said.output and len(stored(tmp_path)) == len(told.tasks)


def test_source_is_read_before_anything_is_measured(tmp_path, told, monkeypatch):
    read = []
    monkeypatch.setattr(Codes, "prepare", lambda self: read.append(len(told.tasks)))
    assert invoke(*ASK, "--out", tmp_path).exit_code == 0
    assert read[0] == 0 and told.tasks


def test_what_was_interrupted_goes_on(tmp_path, told):
    search, judged = (len(STRENGTHS) + study.EXTENSIONS) * len(study.TUNING_SEEDS), 2 * 3
    told.run.after = search + 2  # the search is done, a part of the study is
    assert invoke(*ASK, "--out", tmp_path).exit_code == 130
    told.run.after = 10**9
    assert invoke(*ASK, "--out", tmp_path, "--resume").exit_code == 0
    assert len(told.tasks) == len(set(told.tasks)) == search + judged, "nothing twice"


SETTING = {"part": "validation", "dtype": "float32"}


def keep(out, task):
    """What a training would have kept after its second epoch."""
    path, run = unfinished.place(out / unfinished.FOLDER, "torch", SETTING, list(task)), started(0)
    run.epoch = 2
    trainer = SimpleNamespace(state=lambda: {"a": np.zeros(2)})
    unfinished.Keeper(path, {"name": " ".join(map(str, task))}, True, print, every=0.0).save(trainer, run, 9)
    return path


def test_an_interruption_says_what_is_kept_and_how_to_go_on(tmp_path, told, monkeypatch):
    monkeypatch.setattr("sys.argv", ["bench", "train", *ASK, "--out", "a folder"])
    first, later = (keep(tmp_path, ("digits-100", "fgm", STRENGTHS[0], seed)) for seed in study.TUNING_SEEDS[:2])
    told.run.after = len(STRENGTHS)  # those of one seed
    said = invoke(*ASK, "--out", tmp_path)
    assert said.exit_code == 130
    words = " ".join(said.output.split())
    assert f"kept: digits-100 fgm {STRENGTHS[0]} {study.TUNING_SEEDS[1]}, after epoch 2 of 9" in words
    assert words.endswith(f"goes on with: python -m bench train {' '.join(ASK)} --out 'a folder' --resume")
    assert not first.exists() and later.exists(), "of what is stored nothing else is kept"
    told.run.after = 10**9
    assert invoke(*ASK, "--out", tmp_path, "--resume").exit_code == 0 and not later.parent.exists()


def test_nothing_is_said_of_going_on_where_nothing_was_done(tmp_path, told):
    told.run.after = 0
    said = invoke(*ASK, "--out", tmp_path)
    assert said.exit_code == 130 and "interrupted after 0" in said.output and "--resume" not in said.output


def test_a_run_that_diverged_is_a_result(tmp_path, told):
    told.run.lost = "fgm"
    said = invoke(*ASK, "--out", tmp_path)
    assert said.exit_code == 0 and "3 diverged" in said.output


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--dataset", "mnist"), "dataset: got 'mnist', nearest"),
        (("--regime", "fgmm"), "regime: got 'fgmm', nearest: fgm"),
        (("--clue", "nowhere"), "--clue and --checkpoint need each other"),
        (("--clue", "nowhere", "--checkpoint", "nowhere"), "train.json, dev.json, labels.json not found"),
    ],
)
def test_wrong_arguments_are_refused_before_any_work(tmp_path, told, words, complaint):
    said = invoke(*words, "--out", tmp_path / "out")
    assert said.exit_code == 2 and complaint in " ".join(said.output.split())
    assert not told.tasks and not (tmp_path / "out").exists()


def test_bad_lines_are_skipped_where_asked(tmp_path, told, folder, checkpoint):  # noqa: F811
    pytest.importorskip("tokenizers")
    with (folder / "train.json").open("a", encoding="utf-8") as file:
        file.write("{\n")
    ask = ("--framework", "torch", "--clue", folder, "--checkpoint", checkpoint, "--seeds", "2", "--regime", "plain")
    said = invoke(*ask, "--out", tmp_path / "out")
    assert said.exit_code == 2 and "line 11: not JSON" in " ".join(said.output.split())
    assert invoke(*ask, "--out", tmp_path / "out", "--skip-bad-lines").exit_code == 0


@pytest.mark.slow
def test_clue_and_bert_end_to_end(tmp_path, framework, folder, checkpoint, monkeypatch):  # noqa: F811
    """Nothing is pretended: a process of its own trains BERT on sentences, and judges it."""
    pytest.importorskip("tokenizers")
    monkeypatch.setattr("impls.installed", lambda: [framework])
    few = [json.loads(line) for line in (folder / "train.json").read_text(encoding="utf-8").splitlines()] * 2
    (folder / "train.json").write_text("".join(json.dumps(each) + "\n" for each in few), encoding="utf-8")
    regimes = ("--regime", "plain", "--regime", "fgm table")
    ask = ("--framework", framework, "--clue", folder, "--checkpoint", checkpoint, "--length", "8", "--epochs", "2")
    said = invoke(*ask, *regimes, "--quick", "--out", tmp_path / "out")
    assert said.exit_code == 0, said.output
    records = stored(tmp_path / "out")
    assert {(record.regime, record.seed) for record in records} == {(name, s) for name in regimes[1::2] for s in (0, 1)}
    assert all(record.status == "ok" and 0 <= record.accuracy <= 1 and record.nll > 0 for record in records)
    assert all(len(record.losses) == 2 for record in records), "a mean an epoch"


def test_half_precision_is_trained_in_pairs_with_float32(told, tmp_path):
    done = invoke(*ASK, "--dtype", "bfloat16", "--out", tmp_path)
    assert done.exit_code == 0, done.output
    records = [record for record in stored(tmp_path) if record.part == "test"]
    runs = {dtype: {(r.regime, r.strength, r.seed) for r in records if r.dtype == dtype} for dtype in study.DTYPES}
    assert runs["float32"] == runs["bfloat16"] and len(runs["float32"]) == 6
    assert {r.dtype for r in stored(tmp_path) if r.part == "validation"} == {"float32"}


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--dtype", "float16"), "dtype: got 'float16'"), (("--dtype", "bfloat16", "--curves"), "curves")],
)
def test_what_cannot_be_trained_in_half_precision_is_refused(words, said, tmp_path):
    done = invoke(*ASK, *words, "--out", tmp_path)
    assert done.exit_code == 2 and said in done.stderr
