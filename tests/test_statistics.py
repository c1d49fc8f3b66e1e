"""From times to verdicts: what is there is found, what is not there is not, and bad numbers say "no data"."""

import numpy as np
import pytest

from bench.records.block_statistics import block_effect, effect, judge_effect, noise_floor

NOISE = 0.02  # of a block's number
BLOCKS = 6
RUNS = 500


def runs(shift, noise=NOISE):
    """A run a row: the block's numbers of a step against itself, and of one that differs by `shift`."""
    rng = np.random.default_rng(0)
    return zip(rng.normal(0, noise, (RUNS, BLOCKS)), rng.normal(shift, noise, (RUNS, BLOCKS)), strict=True)


def words(shift, noise=NOISE):
    said = [judge_effect(effect(blocks), noise_floor(own)) for own, blocks in runs(shift, noise)]
    return {word: said.count(word) / RUNS for word in set(said)}


def test_a_step_beside_itself_is_the_same():
    assert words(0.0)["same"] > 0.98


@pytest.mark.parametrize(("shift", "word"), [(np.log(1.1), "slower"), (np.log(0.9), "faster")])
def test_a_tenth_is_detected(shift, word):
    assert words(shift)[word] > 0.98


def test_a_difference_below_the_noise_is_not_claimed():
    found = words(0.005)
    assert found["same"] > 0.95


def test_a_noisy_machine_cannot_say_that_two_steps_are_the_same():
    found = words(0.0, noise=0.2)
    assert found.get("same", 0) < 0.05 and found["ambiguous"] > 0.9


@pytest.mark.parametrize("blocks", [2, 3, BLOCKS, 12])
def test_the_interval_covers_the_truth_as_often_as_it_says(blocks):
    """Of 4,000 simulated cells 95 % hold the true ratio: within 3.5 standard deviations of that share."""
    rng = np.random.default_rng(blocks)
    inside = [
        found.low <= 0.3 <= found.high for row in rng.normal(0.3, NOISE, (4000, blocks)) if (found := effect(row))
    ]
    assert abs(np.mean(inside) - 0.95) < 3.5 * (0.95 * 0.05 / 4000) ** 0.5


def test_one_block_has_no_interval():
    found = effect([0.25])
    assert found.ratio == pytest.approx(np.exp(0.25)) and np.isnan(found.interval).all()
    assert judge_effect(found, 0.01) == "ambiguous" and judge_effect(found, 0.3) == "ambiguous"
    assert judge_effect(effect([0.001]), 0.01) == "same"


def test_a_drift_shared_by_both_steps_leaves_the_ratio():
    drift = np.linspace(1, 3, 12)
    assert block_effect(2 * drift, drift) == pytest.approx(np.log(2))


def test_an_interruption_of_one_sample_is_trimmed():
    times = np.ones(12)
    times[5] = 40.0
    assert block_effect(times, np.ones(12)) == 0.0


@pytest.mark.parametrize(
    ("steps", "base"), [([], []), ([1.0], [1.0, 2.0]), ([0.0], [1.0]), ([float("nan")], [1.0]), ([-1.0], [1.0])]
)
def test_bad_times_are_no_data(steps, base):
    assert np.isnan(block_effect(steps, base))
    assert judge_effect(effect([0.1, block_effect(steps, base)]), 0.0) == "no data"


def test_nothing_is_no_data():
    assert judge_effect(effect([]), 0.1) == "no data"
    assert noise_floor([]) == noise_floor([0.1, float("nan")]) == float("inf")
    assert judge_effect(effect([0.5] * 6), float("inf")) == "ambiguous", "without a noise floor nothing can be told"


def test_an_effect_that_the_blocks_disagree_on_is_ambiguous():
    assert judge_effect(effect([0.5, -0.3, 0.6, -0.2, 0.4, -0.4]), 0.01) == "ambiguous"
