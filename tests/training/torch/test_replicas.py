"""Two replicas, each with half a batch, train as one process with the whole batch does, to rounding."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from tests.training.torch import replicas

pytestmark = pytest.mark.slow  # two processes; in the inner loop one replica trains by `test_ecosystem`
ROOT = Path(__file__).parents[3]
DIFFERENCES = 128.0  # rounding units of what is divided by ξ = 0.01, or comes from a difference of as small a step


@pytest.fixture(scope="session")
def ends(tmp_path_factory):
    """What each of two processes ended with, of every scenario; pytest's workers share one run."""
    folder = tmp_path_factory.getbasetemp().parent / "replicas"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            folder.mkdir()
            run(folder)
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


def run(folder):
    command = [sys.executable, "-m", "tests.training.torch.replicas"]
    both = [subprocess.Popen([*command, str(rank), str(folder), *replicas.SCENARIOS], cwd=ROOT) for rank in (0, 1)]
    try:
        assert [process.wait(timeout=300) for process in both] == [0, 0]
    finally:
        for process in both:
            process.kill()


def off_by(found, wanted):
    """The largest difference, in rounding units of the largest number."""
    return float((found - wanted).abs().max() / wanted.abs().max() / 2**-53)


WHOLE = [name for name in replicas.SCENARIOS if name.endswith("all") and name not in replicas.REFUSED]


@pytest.mark.parametrize("scenario", WHOLE)
def test_replicas_train_as_one_does(scenario, ends):
    name, wrap, _ = scenario.split(" | ")
    first, second = (end[scenario] for end in ends)
    assert not isinstance(first, str), first
    assert torch.equal(first, second)
    units = DIFFERENCES if "vat" in name or "difference" in name or "l2" in name else 8
    assert off_by(first, replicas.train(name, wrap)) <= units


@pytest.mark.parametrize("name", replicas.ONE_VECTOR)
def test_local_replicas_go_by_their_own_gradient(name, ends):
    first, second = (end[f"{name} | ddp | local"] for end in ends)
    assert torch.equal(first, second)
    assert off_by(first, replicas.train_apart(name)) <= 8
    assert off_by(first, replicas.train(name)) > 1e6


@pytest.mark.parametrize("scenario", replicas.STATISTICS)
def test_statistics_are_those_of_plain_replicas(scenario, ends):
    for end in ends:
        found, plain = end[scenario]
        assert torch.equal(found, plain)


@pytest.mark.parametrize("scenario", replicas.REFUSED)
def test_sharded_parameters_cannot_be_differentiated_twice(scenario, ends):
    assert all("how: got" in end[scenario] and "finite_difference" in end[scenario] for end in ends)
