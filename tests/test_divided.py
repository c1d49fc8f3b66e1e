"""Batches that are divided: every way of dividing them trains on all samples, and what goes wrong in a part is said."""

import numpy as np
import pytest

from equivalence import divided
from equivalence.reference import known

PLAIN = "adversarial_training", {"radius": 0.0}


@pytest.fixture(scope="module")
def whole(bridge):
    return divided.load(bridge, known("reviews-text").case)


def gradient_by_difference(bridge, case, name, place):
    """∂ mean loss/∂ one parameter, of the network written in NumPy."""
    network = divided.load(bridge, case)

    def mean(step):
        kernels = {name: kernel.copy() for name, kernel in network.kernels.items()}
        kernels[name][place] += step
        hidden = np.tanh(np.tanh(network.table[network.tokens]).mean(1) @ kernels["hidden"])
        logits = hidden @ kernels["output"]
        rows = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(logits)), network.labels]
        return rows.mean()

    return mean(0.0), (mean(1e-5) - mean(-1e-5)) / 2e-5


@pytest.mark.parametrize("name", ["hidden", "output"])
def test_the_networks_are_the_one_that_is_stated(bridge, whole, name):
    value, slope = gradient_by_difference(bridge, known("reviews-text").case, name, (1, 1))
    [row] = whole.step(*PLAIN[:1], **PLAIN[1])
    kernels = whole.kernels
    start = 1 if name == "hidden" else 1 + kernels["hidden"].size
    gradient = row[start : start + kernels[name].size].reshape(kernels[name].shape)
    assert row[0] == pytest.approx(value, rel=1e-13)
    assert gradient[1, 1] == pytest.approx(slope, rel=1e-7)


@pytest.mark.parametrize("divide", [lambda whole: whole.among(), lambda whole: whole.into(3, 1)])
def test_a_divided_batch_has_all_samples_and_each_counts_once(whole, divide):
    parts = divide(whole)
    assert parts.samples == whole.samples and sum(map(parts.share, parts.parts)) == 1
    method, options = PLAIN
    alone = sum(
        parts.share(part) * one.step(method, **options) for part, one in zip(parts.parts, parts.apart(), strict=True)
    )
    found = parts.step(method, **options)
    assert len(found) == (2 if parts.together else 1)
    assert np.abs(found - alone).max() < 1e-15 < np.abs(found - parts.apart()[0].step(method, **options)).max()


def test_parts_that_are_not_the_batch_are_refused(whole):
    with pytest.raises(ValueError, match=r"sizes: got \[3, 2\], expected 4 samples in all"):
        whole.into(3, 2)


def test_an_error_on_replicas_is_raised_and_the_next_step_is_right(whole):
    method, options = PLAIN
    before = whole.among().step(method, **options)
    with pytest.raises((TypeError, ValueError), match="nonsense"):
        whole.among().step("adversarial_training", radius=0.5, norm="nonsense")
    assert np.array_equal(whole.among().step(method, **options), before)
