"""Shards, merging and resuming: together they measure what one run measures, and nothing twice."""

import errno
import itertools
import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from bench.commands.app import app
from bench.costs import cells
from bench.proofs import mutants, variations, verify
from bench.records import machine
from bench.records.machine import describe
from bench.records.schema import SCHEMA, ClaimRecord, CostRecord, Environment, Header
from bench.records.store import Store, latest, read
from bench.running.job import Outcome
from bench.running.local import Local
from bench.running.resume import reusable
from bench.running.shard import Shard
from equivalence.claim import claims
from equivalence.mutant import mutants as registry

RUNNER = CliRunner()
RIGHT = {"a": {"kind": "exact", "difference": 0.0, "scale": 1.0, "rounding unit": 1e-16}}
FACTS = {"exclude": {"time", "seconds"}}


def invoke(*words):
    return RUNNER.invoke(app, [str(word) for word in words])


@pytest.fixture
def measured(monkeypatch):
    """The tasks that are measured, by a machine that finds everything right; `after` so many it is interrupted."""
    tasks = []

    def run(self, jobs, slots, say, device=""):
        for job in jobs:
            for task in job.tasks:
                stop = len(tasks) >= run.after
                say(Outcome(job, task, "interrupted", "stopped") if stop else Outcome(job, task, "ok", result=RIGHT))
                tasks.extend([] if stop else [(job.framework, repr(task))])
        if len(tasks) >= run.after:
            raise KeyboardInterrupt

    run.after = 10**9
    monkeypatch.setattr(Local, "run", run)
    return SimpleNamespace(tasks=tasks, run=run)


def claim_records(out):
    (path,) = out.glob("*/records.jsonl")
    records, problems = read(path)
    assert not problems
    return {record.key(): record.model_dump(**FACTS) for record in records if isinstance(record, ClaimRecord)}


@pytest.mark.parametrize("text", ["0/2", "3/2", "1/0", "1", "a/b", "1/2/3", "-1/2", ""])
def test_what_is_no_part_is_refused(text, tmp_path):
    said = invoke("verify", "--shard", text, "--out", tmp_path)
    assert said.exit_code == 2 and "expected I/N with 1 ≤ I ≤ N" in said.output
    assert not list(tmp_path.iterdir())


def parts_of(plan, count=3):
    """The tasks of each part of a plan, by framework."""
    return [
        {(job.framework, repr(task)) for job in plan(Shard(number, count)) for task in job.tasks}
        for number in range(1, count + 1)
    ]


PLANS = {
    "verify": lambda shard, slots: verify.jobs(
        ["torch", "jax"], verify.Chosen(frozenset(claims())), "cpu", slots, shard
    ),
    "variations": lambda shard, slots: variations.jobs(["torch", "jax"], 300, 0, "cpu", slots, shard),
    "mutants": lambda shard, slots: mutants.jobs(
        ["torch", "jax"], shard.of(registry().values(), lambda mutant: mutant.name), [*claims()], "cpu", slots, ""
    ),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_parts_make_the_whole_and_share_nothing_whatever_the_machine(plan):
    parts = parts_of(lambda shard: plan(shard, 2))
    (whole,) = parts_of(lambda shard: plan(shard, 2), 1)
    assert set.union(*parts) == whole
    assert sum(map(len, parts)) == len(whole)
    assert all(parts)
    assert parts == parts_of(lambda shard: plan(shard, 5)), "more cores, another split"


def test_a_process_that_times_is_not_split():
    planned = cells.plan(["torch", "jax"])

    def process(cell):
        return cell.workload, cell.framework, cell.mode

    parts = [Shard(number, 4).of(planned, process) for number in (1, 2, 3, 4)]
    assert sorted(map(repr, itertools.chain(*parts))) == sorted(map(repr, planned))
    processes = [{process(cell) for cell in part} for part in parts]
    assert sum(map(len, processes)) == len(set.union(*processes))


@pytest.mark.slow
def test_shards_merged_are_the_whole_run(tmp_path, measured, framework):
    ask = ("verify", "--framework", framework, "--claim", "C1", "--claim", "C2")
    assert invoke(*ask, "--out", tmp_path / "whole").exit_code == 0
    for number in (1, 2, 3):
        assert invoke(*ask, "--shard", f"{number}/3", "--out", tmp_path / str(number)).exit_code == 0
    shards = [tmp_path / number for number in "123"]
    assert invoke("merge", *shards, "--out", tmp_path / "merged").exit_code == 0
    assert claim_records(tmp_path / "merged") == claim_records(tmp_path / "whole") != {}
    once = next((tmp_path / "merged").glob("*/records.jsonl")).read_bytes()
    invoke("merge", *reversed(shards), "--out", tmp_path / "merged")
    assert next((tmp_path / "merged").glob("*/records.jsonl")).read_bytes() == once


def test_an_interrupted_run_goes_on_without_repeating_anything(tmp_path, measured, framework):
    ask = ("verify", "--framework", framework, "--claim", "C1", "--claim", "C2", "--out", tmp_path)
    measured.run.after = 2
    said = invoke(*ask)
    assert said.exit_code == 130 and "--resume" in said.output
    assert {record["status"] for record in claim_records(tmp_path).values()} == {"ok", "interrupted"}
    measured.run.after = 10**9
    assert invoke(*ask, "--resume").exit_code == 0
    assert {record["status"] for record in claim_records(tmp_path).values()} == {"ok"}
    assert len(measured.tasks) == len(set(measured.tasks)) == len(claim_records(tmp_path))
    done = len(measured.tasks)
    assert invoke(*ask, "--resume").exit_code == 0, "what is there counts"
    assert len(measured.tasks) == done
    invoke(*ask)
    assert len(measured.tasks) == 2 * done, "without --resume everything is measured"


@pytest.mark.parametrize(
    "change", [{"code": "other"}, {"environment": "other"}, {"device": "cuda"}, {"status": "failed"}]
)
def test_only_the_same_is_reused(tmp_path, measured, framework, change):
    ask = ("verify", "--framework", framework, "--claim", "C1", "--workload", "tanh-mlp", "--out", tmp_path)
    invoke(*ask)
    (path,) = tmp_path.glob("*/records.jsonl")
    records = [
        record.model_copy(update=change) if isinstance(record, ClaimRecord) else record for record in read(path)[0]
    ]
    path.write_text("".join(record.model_dump_json() + "\n" for record in records))
    invoke(*ask, "--resume")
    assert len(measured.tasks) == 2


def test_a_disturbed_block_is_measured_again(tmp_path):
    store = Store(tmp_path)
    for block, foreign in enumerate((0.01, 0.9, float("nan"))):
        place = {"method": "fgm", "framework": "torch", "mode": "eager", "workload": "digits-mlp", "status": "ok"}
        store.append(CostRecord(**place, block=block, foreign=foreign))
    known = reusable(store.everything(), store.codes, [store.environment])
    assert [record.block for record in known] == [0, 2]


def test_what_was_interrupted_replaces_no_measurement():
    first, second = (
        ClaimRecord(claim="C1", framework="jax", case="x", status=status) for status in ("ok", "interrupted")
    )
    assert list(latest([first, second])) == list(latest([second, first])) == [first]
    assert list(latest([second])) == [second]


def test_two_runs_on_one_folder(tmp_path, measured, framework, monkeypatch):
    ask = ("verify", "--framework", framework, "--claim", "C1", "--out", tmp_path)
    said = []
    inner = measured.run

    def run(self, *arguments):
        said.append(invoke(*ask))
        inner(self, *arguments)

    monkeypatch.setattr(Local, "run", run)
    assert invoke(*ask).exit_code == 0
    assert said[0].exit_code == 2 and "is being written by process" in said[0].output
    assert {record["status"] for record in claim_records(tmp_path).values()} == {"ok"}


@pytest.mark.parametrize("words", [("verify",), ("report",), ("merge", "same")])
def test_records_of_another_schema_are_left_alone(tmp_path, words):
    path = tmp_path / "here" / "records.jsonl"
    path.parent.mkdir()
    path.write_text(Header(version=SCHEMA + 1).model_dump_json() + "\n")
    before = path.read_bytes()
    said = invoke(*(tmp_path if word == "same" else word for word in words), "--out", tmp_path)
    assert said.exit_code == 2 and f"schema {SCHEMA + 1}, expected {SCHEMA}" in said.output
    assert path.read_bytes() == before and [path.parent] == list(tmp_path.iterdir())


def stored(out, machine="here", time="2026-01-01T00:00:00+00:00", **options):
    """One record in a folder of results."""
    options = {"claim": "C1", "framework": "torch", "case": "tanh-mlp", "status": "ok", "environment": "e"} | options
    place = describe().model_copy(update={"id": "e", "machine": machine, "time": time})
    path = out / machine / "records.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.writelines(f"{record.model_dump_json()}\n" for record in (place, ClaimRecord(time=time, **options)))
    return path


def test_merging_takes_the_newest_of_each_machine_and_leaves_the_rest_alone(tmp_path):
    stored(tmp_path / "a", time="2026-01-02T00:00:00+00:00", reason="newer")
    stored(tmp_path / "b", reason="older")
    stored(tmp_path / "b", "there", reason="elsewhere")
    stored(tmp_path / "out", case="softmax", reason="kept")
    (tmp_path / "out" / "README.md").write_text("mine")
    assert invoke("merge", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out").exit_code == 0
    found = {
        path.parent.name: {record.reason for record in read(path)[0] if not isinstance(record, Environment)}
        for path in (tmp_path / "out").glob("*/records.jsonl")
    }
    assert found == {"here": {"newer", "kept"}, "there": {"elsewhere"}}
    assert (tmp_path / "out" / "README.md").read_text() == "mine"


def test_merging_refuses_what_is_damaged_unless_told(tmp_path):
    path = stored(tmp_path / "a")
    with path.open("a") as file:
        file.write('{"kind": "claim", ')
    said = invoke("merge", tmp_path / "a", "--out", tmp_path / "out")
    assert said.exit_code == 2 and ":3:" in said.output.replace("\n", "")
    assert not list((tmp_path / "out").glob("*/records.jsonl"))
    assert invoke("merge", tmp_path / "a", "--skip-damaged", "--out", tmp_path / "out").exit_code == 0
    assert len(read(tmp_path / "out" / "here" / "records.jsonl")[0]) == 2


def test_a_folder_without_results_cannot_be_merged(tmp_path):
    said = invoke("merge", tmp_path, "--out", tmp_path / "out")
    assert said.exit_code == 2 and "expected a folder of results" in said.output


def test_a_record_goes_to_the_machine_that_measured(tmp_path):
    store = Store(tmp_path)
    there = describe().model_copy(update={"id": "t", "machine": "there"})
    for _ in range(2):
        store.append(ClaimRecord(claim="C1", framework="jax", case="x", status="ok"), there)
    store.compact()
    lines = (tmp_path / "there" / "records.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["store", "environment", "claim"]
    assert [record.environment for record in latest(store.everything())] == ["t"]


def test_a_machine_finds_itself_again_and_a_faster_one_is_another(tmp_path):
    """Its rate is measured anew each time, and varies; twice as fast is another machine, whatever its name."""
    place = describe().model_copy(update={"id": "first", "machine": "there", "product_gflops": 100.0})
    for name, rate in (("second", 104.0), ("third", 200.0), ("fourth", 96.0)):
        store = Store(tmp_path)
        for each in (place, place.model_copy(update={"id": name, "product_gflops": rate})):
            store.append(ClaimRecord(claim=name, framework="jax", case="x", status="ok"), each)
    found = {record.claim: record.environment for record in latest(store.everything())}
    assert found == {"second": "first", "third": "third", "fourth": "first"}


CPUINFO = "processor : 0\ncpu family : 25\nmodel : {model}\nmodel name : AMD EPYC\nstepping : 1\n"


def test_generations_that_bear_one_name_are_told_apart(monkeypatch):
    names = []
    for model in (1, 17):
        monkeypatch.setattr(machine.Path, "read_text", lambda self, model=model: CPUINFO.format(model=model))
        names.append(machine.slug(machine.cpu_name()))
    assert names == [f"amd-epyc-family-25-model-{model}-stepping-1-" for model in (1, 17)]


def test_a_full_disk_ends_the_run_in_words_and_keeps_what_was_written(tmp_path, measured, framework, monkeypatch):
    ask = ("verify", "--framework", framework, "--claim", "C1", "--out", tmp_path)
    write = Store.append

    def full(self, record, environment=None):
        if len(measured.tasks) >= 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, record, environment)

    monkeypatch.setattr(Store, "append", full)
    said = invoke(*ask)
    assert said.exit_code == 2 and "No space left on device" in said.output and "--resume goes on" in said.output
    assert len(claim_records(tmp_path)) == 1
    monkeypatch.setattr(Store, "append", write)
    assert invoke(*ask, "--resume").exit_code == 0
    assert len(claim_records(tmp_path)) == len(claims()["C1"].cases)
