"""Trainings in one framework: by the oracle's own gradients, on what the seed says, with nothing that labels betray."""

from dataclasses import replace

import numpy as np
import pytest

from bench.train import robustness
from bench.train.data import rows, size
from bench.train.datasets import SCRATCH, dataset
from bench.train.loop import RATES, batches, train
from bench.train.regimes import MOMENTUM, REGIMES
from bench.train.worth import worth
from equivalence.reference import Reference
from tests.quick import mostly_slow

pytestmark = pytest.mark.usefixtures("precision")
STEPS = 3


@pytest.fixture(scope="module")
def few(bridge):
    """A data set of few samples and a small model."""
    found = dataset("reviews-200", 0)
    return replace(found, labelled=rows(found.labelled, np.arange(24)), batch=8, test=rows(found.test, np.arange(60)))


def trained(framework, few, regime, strength=None, steps=STEPS, dtype="float64"):
    chosen = REGIMES[regime]
    strength = chosen.strengths[1 % len(chosen.strengths)] if strength is None else strength
    return train(framework, few, chosen, strength, 0, optimizer="momentum", dtype=dtype, steps=steps)


@pytest.fixture(scope="module")
def plain(framework, few):
    """A plain training of a few steps."""
    return trained(framework, few, "plain")


def test_plain_training_is_gradient_descent_with_momentum(bridge, few, plain):
    """By the oracle, which differentiates by hand."""
    params, velocity, losses = dict(few.start.params), {}, []
    for labelled, _, _ in list(batches(few, REGIMES["plain"], 0.0, 0))[:STEPS]:
        case = replace(few.start, params=params, **labelled)
        of_params = Reference(case).point.of_params
        losses.append(float(of_params(params).mean()))
        for name, bar in of_params.vjp(params, np.full(case.batch, 1 / case.batch)).items():
            velocity[name] = MOMENTUM * velocity.get(name, 0) + np.asarray(bar)
            params = params | {name: params[name] - RATES["momentum"] * few.rate * velocity[name]}
    assert plain.losses == pytest.approx(losses, rel=1e-12)
    for name, value in plain.trainer.parameters().items():
        np.testing.assert_allclose(bridge.to_numpy(value), params[name], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("regime", mostly_slow(REGIMES, ["fgm table", "vat"]))
def test_every_regime_trains(framework, few, regime):
    done = trained(framework, few, regime)
    assert len(done.losses) == STEPS and np.isfinite(done.losses).all()


@pytest.mark.slow
@pytest.mark.parametrize("regime", ["plain", "fgm", "vat"])
def test_half_precision_trains_parameters_in_float32(framework, bridge, few, regime):
    """As in float32 but for the model's rounding, which is seen."""
    done, wide = (trained(framework, few, regime, dtype=dtype) for dtype in ("bfloat16", "float32"))
    assert all("float32" in str(value.dtype) for value in done.trainer.parameters().values())
    assert done.losses == pytest.approx(wide.losses, rel=2.0**-6)
    assert done.losses != pytest.approx(wide.losses, rel=1e-6)


@pytest.mark.parametrize("regime", mostly_slow([name for name in REGIMES if REGIMES[name].wrapper], ["fgm"]))
def test_a_line_of_strength_zero_trains_as_plain(framework, few, plain, regime):
    assert trained(framework, few, regime, 0.0).losses == pytest.approx(plain.losses, rel=1e-12)


def test_a_model_is_judged(few, plain, monkeypatch):
    monkeypatch.setattr(robustness, "STEPS", 2)  # as many as show that they are taken
    found = worth(plain.trainer, few, "test", 0)
    assert set(found) == {"accuracy", "nll", "calibration_error", "confidence", "pgd_accuracy", "noise_accuracy"}
    assert 0 <= found["pgd_accuracy"] <= found["accuracy"] <= 1


def test_a_loss_that_is_no_number_ends_the_run(framework, few):
    broken = {name: np.full_like(value, np.nan) for name, value in few.start.params.items()}
    done = trained(framework, replace(few, start=replace(few.start, params=broken)), "noise", steps=5)
    assert len(done.losses) == 1 and np.isnan(done.losses[0])


@pytest.mark.parametrize("name", SCRATCH)
def test_the_parts_of_a_data_set_are_apart(name):
    found = dataset(name, 1)
    key = "x" if "x" in found.labelled else "tokens"
    seen = {
        part: {row.tobytes() for row in getattr(found, part)[key]}
        for part in ("labelled", "unlabelled", "validation", "test")
    }
    assert not seen["labelled"] & seen["validation"] and not seen["labelled"] & seen["test"]
    assert not seen["unlabelled"] & seen["validation"] and not seen["unlabelled"] & seen["test"]
    assert not found.unlabelled["labels"].any(), "nothing could learn from them"
    counts = np.bincount(found.labelled["labels"])
    assert counts.max() - counts.min() <= 1
    assert size(found.labelled) == int(name.rpartition("-")[2])


def test_a_seed_gives_every_regime_the_same_batches():
    found = dataset("digits-100", 0)
    first, second = (list(batches(found, REGIMES[name], 1.0, 7)) for name in ("noise", "vat"))
    assert all((a[0]["x"] == b[0]["x"]).all() for a, b in zip(first, second, strict=True))
    other = list(batches(found, REGIMES["noise"], 1.0, 8))
    assert not all((a[0]["x"] == b[0]["x"]).all() for a, b in zip(first, other, strict=True))
    assert not np.array_equal(dataset("digits-100", 1).start.params["conv0.weight"], found.start.params["conv0.weight"])
