"""A training that is interrupted goes on after its last epoch, and ends with the same numbers, bit for bit."""

import os
import signal
import threading
from dataclasses import replace
from functools import partial
from statistics import median_low
from types import SimpleNamespace

import numpy as np
import pytest

from bench.running.job import Outcome, Started, Told
from bench.running.local import run
from bench.train import study, unfinished
from bench.train.data import rows
from bench.train.datasets import dataset
from bench.train.loop import started
from bench.train.loop import train as train_by
from bench.train.regimes import REGIMES
from bench.train.unfinished import Keeper
from tests.quick import mostly_slow

IDENTITY = {"name": "a training", "code": "a", "versions": {"numpy": "2"}, "setting": {"batch": 8}, "data": "d"}


@pytest.fixture
def few(framework, bridge, precision):
    """Three epochs of three steps of a small model."""
    found = dataset("reviews-200", 0)
    return replace(found, labelled=rows(found.labelled, np.arange(24)), batch=8, epochs=3)


class Interrupted(Keeper):
    """Keeps epochs, and is interrupted after the second."""

    def save(self, trainer, run, epochs):
        super().save(trainer, run, epochs)
        if run.epoch == 2:
            raise KeyboardInterrupt


def keeper(path, said=None, kind=Keeper, resume=True, **other):
    return kind(path, IDENTITY | other, resume, (said if said is not None else []).append, every=0.0)


@pytest.mark.parametrize(
    ("regime", "dtype"),
    mostly_slow(
        [("plain", "float32"), ("plain", "bfloat16"), ("fgm", "float32"), ("noise", "float32"), ("vat", "float32")],
        [("noise", "float32")],
    ),
)
def test_what_goes_on_ends_with_the_same_numbers(framework, bridge, few, tmp_path, regime, dtype):
    path, said = tmp_path / "kept.npz", []
    options = framework, few, REGIMES[regime], median_low(REGIMES[regime].strengths), 0
    train = partial(train_by, dtype=dtype)
    whole = train(*options)
    with pytest.raises(KeyboardInterrupt):
        train(*options, keeper=keeper(path, kind=Interrupted))
    done = train(*options, keeper=keeper(path, said))
    assert said == ["goes on after epoch 2 of 3"]
    assert done.losses == whole.losses and done.epochs == whole.epochs
    for name, value in whole.trainer.parameters().items():
        assert (bridge.to_numpy(value) == bridge.to_numpy(done.trainer.parameters()[name])).all(), name


@pytest.mark.slow
def test_a_training_that_is_killed_goes_on_and_ends_with_the_same_numbers(framework, tmp_path):
    """By the worker, as `train` runs it: it is ended by SIGKILL while it trains, after some epochs were kept."""
    planned = study.planned(framework, ["digits-100"], ["fgm"], 2, "cpu", True, None, False)

    def trained(folder, resume, hear=lambda event: None):
        heard = []
        kept = {"folder": str(folder), "code": "a", "resume": resume, "every": 0.0}

        def say(event):
            heard.append(event)
            hear(event)

        (job,) = study.jobs(planned, [("digits-100", "fgm", 1.0, 0)], "validation", str(tmp_path / "caches"), kept)
        run([job], [[0]], say)
        return next(event for event in heard if isinstance(event, Outcome)), heard

    whole, _ = trained(tmp_path / "other", False)
    process = SimpleNamespace(number=0)

    def kill(event):
        """As soon as an epoch is kept."""
        if isinstance(event, Started):
            process.number = event.process
            waiting.start()

    def wait_for_a_file():
        while not list((tmp_path / "kept").glob("*.npz")):
            threading.Event().wait(0.01)
        os.kill(process.number, signal.SIGKILL)

    waiting = threading.Thread(target=wait_for_a_file)
    killed, _ = trained(tmp_path / "kept", True, kill)
    waiting.join()
    assert killed.status == "oom" and "SIGKILL" in killed.reason
    done, heard = trained(tmp_path / "kept", True)
    assert any("goes on after epoch" in event.text for event in heard if isinstance(event, Told))
    seconds = {"step": 0.0}
    assert done.result | seconds == whole.result | seconds


class Trainer:
    """One number that grows."""

    def __init__(self, value=0.0):
        self.value = np.array(value)

    def state(self):
        return {"value": self.value}

    def restore(self, arrays):
        self.value = arrays["value"]


@pytest.fixture
def path(tmp_path):
    """A training that was kept after its second epoch."""
    run = started(0)
    run.epoch, run.losses, run.times = 2, [1.0, 0.5], [0.1, 0.1]
    run.order.normal(size=3)
    keeper(tmp_path / "kept.npz").save(Trainer(2.0), run, 5)
    return tmp_path / "kept.npz"


def test_what_is_kept_comes_back(path):
    run, trainer, said = started(0), Trainer(), []
    keeper(path, said).restore(trainer, run)
    assert (run.epoch, run.losses, trainer.value, said) == (2, [1.0, 0.5], 2.0, ["goes on after epoch 2 of 5"])
    expected = np.random.default_rng((0, 3))
    expected.normal(size=3)
    assert run.order.normal() == expected.normal() and list(path.parent.iterdir()) == [path]
    assert list(unfinished.kept(path.parent)) == ["a training, after epoch 2 of 5"]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"code": "b"}, "of other code"),
        ({"versions": {"numpy": "1"}}, "of other versions"),
        ({"setting": {"batch": 9}}, "of another setting"),
        ({"data": "e"}, "of other data"),
    ],
)
def test_what_another_training_has_kept_is_not_used_and_said(path, what, words):
    run, trainer, said = started(0), Trainer(), []
    keeper(path, said, **what).restore(trainer, run)
    assert (run.epoch, trainer.value) == (0, 0.0) and words in said[0] and "starts from the beginning" in said[0]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_what_is_torn_is_not_used_and_said(path, share):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    run, said = started(0), []
    keeper(path, said).restore(Trainer(), run)
    assert run.epoch == 0 and "cannot be read" in said[0] and list(unfinished.kept(path.parent)) == []


def test_a_flipped_bit_is_seen_wherever_it_is(path):
    """It is not used, or nothing of what is used has changed."""
    whole = path.read_bytes()
    for position in np.random.default_rng(0).integers(len(whole), size=200):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 16]) + whole[position + 1 :])
        run, trainer, said = started(0), Trainer(), []
        keeper(path, said).restore(trainer, run)
        assert (run.epoch, trainer.value, run.losses) in [(0, 0.0, []), (2, 2.0, [1.0, 0.5])] and len(said) == 1


def test_who_does_not_resume_starts_from_the_beginning(path):
    run = started(0)
    keeper(path, resume=False).restore(Trainer(), run)
    assert run.epoch == 0


def test_a_full_disk_costs_what_would_be_kept_and_not_the_training(path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unfinished.files, "replace_by", full)
    run, said = started(0), []
    run.epoch = 3
    keeper(path, said).save(Trainer(), run, 5)
    assert "epoch 3 is not kept" in said[0]
