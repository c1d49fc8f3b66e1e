"""A Ray cluster, started here: outcomes come back with where they were measured, and a lost node costs nothing."""

import os
import secrets
import textwrap

import pytest
from typer.testing import CliRunner

os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # read when Ray is imported

import ray
from ray.cluster_utils import Cluster as Nodes

from bench.commands.app import app
from bench.records.machine import describe
from bench.running.job import Job, Outcome, Started, Unusable
from bench.running.ray import Cluster, together
from tests.test_run import WORKER


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("worker")
    (folder / "worker_for_tests.py").write_text(textwrap.dedent(WORKER))
    return folder


@pytest.fixture(scope="module")
def nodes(folder):
    """A cluster whose head measures nothing; a node inherits the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        patch.setenv("TMPDIR", str(folder))  # locks of its own
        nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        yield nodes
        ray.shutdown()
        nodes.shutdown()


@pytest.fixture(scope="module")
def cluster(nodes):
    nodes.add_node(num_cpus=1)
    return Cluster(nodes.address, 300, 0)


def job(tasks, **options):
    return Job("worker_for_tests", "torch", {"device": "cpu", **options}, tasks, 20.0)


def heard(cluster, jobs, hear=lambda event: None, device=""):
    """The outcomes of some jobs, and everything that was said."""
    said = []

    def say(event):
        said.append(event)
        hear(event)

    cluster.run(jobs, cluster.slots()[:1], say, device)
    outcomes = [event for event in said if isinstance(event, Outcome)]
    assert len(outcomes) == sum(len(job.tasks) for job in jobs), "every task has exactly one outcome"
    return outcomes, said


def test_outcomes_come_back_with_where_they_were_measured(cluster):
    asked = [job(["a", "raise", "hoard", "b"]), job(["c"])]
    outcomes, _ = heard(cluster, asked, device="cpu")
    assert {outcome.task: outcome.status for outcome in outcomes} == {
        "a": "ok", "raise": "failed", "hoard": "oom", "b": "ok", "c": "ok",
    }  # fmt: skip
    apart = {"id", "product_gflops"}  # a rate is measured, by each process: no two need be the same
    here = describe().model_dump(exclude=apart)
    assert all(outcome.environment.model_dump(exclude=apart) == here for outcome in outcomes)
    assert [outcome.environment for outcome in outcomes[:1]] == cluster.environments()
    assert all(outcome.job in asked for outcome in outcomes)


def test_a_file_travels_along(cluster, folder):
    path = folder / "expected"
    path.write_text("what is expected")
    (outcome,), _ = heard(cluster, [job(["read"], expected=str(path))])
    assert outcome.result["text"] == "what is expected" and outcome.result["path"] != str(path)


def test_jobs_that_belong_together_are_one_task():
    a, b, c, d = (
        Job("m", "torch", {}, [task], together=name) for task, name in zip("abcd", ["x", "", "x", ""], strict=True)
    )
    assert together([a, b, c, d]) == [[a, c], [b], [d]]


def test_a_lost_node_costs_nothing(nodes, cluster, folder):
    """It is killed in the middle of a task: what was done stays done, the rest is measured on another."""
    (doomed,) = nodes.worker_nodes
    until = folder / "until"

    def kill(event):
        if isinstance(event, Started) and event.task == "pause" and not until.exists():
            nodes.remove_node(doomed, allow_graceful=False)
            nodes.add_node(num_cpus=1)
            until.touch()

    outcomes, said = heard(cluster, [job(["a", "pause", "b"], until=str(until)), job(["c"])], kill)
    assert {outcome.status for outcome in outcomes} == {"ok"}
    started = [event.task for event in said if isinstance(event, Started)]
    assert sorted(started) == ["a", "b", "c", "pause", "pause"]


def test_more_than_any_node_has_is_refused(cluster):
    with pytest.raises(Unusable, match="no node of the cluster has 64 CPUs"):
        cluster.run([job(["a"])], [list(range(64))], print)
    with pytest.raises(Unusable, match="no node of the cluster has 1 GPUs"):
        cluster.run([job(["a"], device="cuda")], [[0]], print)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1:1", "nothing listens there"),
        ("127.0.0.1", "expected HOST:PORT"),
        ("ray://127.0.0.1:10001", "expected HOST:PORT"),
    ],
)
def test_a_dead_address_is_refused_before_any_work(tmp_path, address, why):
    said = CliRunner().invoke(app, ["verify", "--executor", "ray", "--address", address, "--out", str(tmp_path)])
    assert said.exit_code == 2 and why in said.output
    assert not list(tmp_path.glob("*/records.jsonl"))
