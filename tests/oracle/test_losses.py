"""The oracle's losses, divergences and labels, and their gradients, against 50 digits."""

import numpy as np
import pytest

from equivalence.oracle import pullbacks, values
from tests.oracle.exact import LOSSES, close, entropy, kl, wrong_blocks
from tests.oracle.forward import precise


@pytest.mark.parametrize("size", [1e-5, 1.0, 50.0, 2000.0])
def test_kl_divergence_keeps_its_digits(size):
    """Of arguments that differ by ε it is about ε²: to be known to u/ε, where the plain sum leaves u/ε²."""
    rng = np.random.default_rng(14)
    a, b = rng.standard_normal((2, 3, 4))
    p, q = (a, a + size * b) if size <= 1 else (size * a, size * b)
    assert close(values.kl_divergence(p, q), kl(precise(p), precise(q)), 2e-14 / min(size, 1))


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_their_gradients(name):
    exact, draw = LOSSES[name]
    rng = np.random.default_rng(4)
    a, b, c = rng.standard_normal((3, 4)), draw(rng, (3, 4)), rng.standard_normal(3)
    assert close(getattr(values, name)(a, b), exact(precise(a), precise(b)), 1e-14)
    bars = getattr(pullbacks, name)(a, b)(c)
    total = lambda params, x: (c * exact(x, params.get("b", precise(b)))).sum()  # noqa: E731
    both = isinstance(bars, tuple)
    pulled, params = ((bars[0], {"b": bars[1]}), {"b": b}) if both else ((bars, {}), {})
    assert wrong_blocks(pulled, total, params, a) == []


def test_entropy_and_its_gradient():
    a, c = np.random.default_rng(5).standard_normal((2, 3, 4))
    c = c[:, 0]
    assert close(values.entropy(a), entropy(precise(a)), 1e-14)
    assert wrong_blocks((pullbacks.entropy(a)(c), {}), lambda _, x: (c * entropy(x)).sum(), {}, a) == []


def test_class_numbers_are_one_hot_labels_and_divergences_vanish_at_equal_logits():
    a, labels = np.random.default_rng(6).standard_normal((3, 4)), np.array([3, 0, 1])
    np.testing.assert_array_equal(values.cross_entropy(a, labels), values.cross_entropy(a, np.eye(4)[labels]))
    assert (values.kl_divergence(a, a) == 0).all()
    assert (values.kl_divergence(a, a + 1e-8) >= 0).all()


@pytest.mark.parametrize(
    "labels", [np.array([3, 0, 1]), np.array([[0.1, 0.2, 0.3, 0.4], [0, 0, 1, 0], [0.5, 0.5, 0, 0]])]
)
def test_smoothed_labels_are_labels_redrawn(labels):
    """Their cross-entropy is its expectation where a label is redrawn uniformly with probability s."""
    logits, s = np.random.default_rng(19).standard_normal((3, 4)), 0.3
    redrawn = np.mean([values.cross_entropy(logits, np.full(3, i)) for i in range(4)], axis=0)
    ours = values.smooth_labels(labels, smoothing=s, like=logits)
    expected = (1 - s) * values.cross_entropy(logits, labels) + s * redrawn
    np.testing.assert_allclose(values.cross_entropy(logits, ours), expected, rtol=1e-14)
    np.testing.assert_allclose(ours.sum(1), 1, rtol=1e-15)
    np.testing.assert_array_equal(values.smooth_labels(labels, smoothing=1.0, like=logits), np.full((3, 4), 0.25))
