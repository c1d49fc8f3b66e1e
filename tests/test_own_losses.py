"""The check of a framework's own losses finds derivatives that are right, wrong and refused."""

import importlib

import numpy as np
import pytest

from equivalence.own_losses import derivatives


def measured(bridge, loss):
    rng = np.random.default_rng(0)
    return derivatives(bridge, loss, *(rng.standard_normal((4, 3)) for _ in range(3)))


def test_a_polynomial_is_right(bridge):
    assert measured(bridge, lambda x: x * x * x) == {"twice": "right", "three times": "right"}


def test_a_derivative_that_is_quietly_zero_is_wrong(bridge):
    found = measured(bridge, lambda x: bridge.fixed(x * x) * x)
    assert found == {"twice": "wrong, off by 100%", "three times": "no"}


def test_a_derivative_that_lacks_a_part_is_wrong(bridge):
    found = measured(bridge, lambda x: x * x * bridge.fixed(x))  # 2x fixed(x): of its slope 4x the half is missing
    assert found == {"twice": "wrong, off by 50%", "three times": "no"}


def test_a_wrong_call_is_no_answer(bridge):
    def loss(x):
        raise ValueError("logits expected")

    with pytest.raises(ValueError, match="logits expected"):
        measured(bridge, loss)


def test_what_refuses_a_second_derivative_is_recorded(framework, bridge):
    if framework != "torch":
        pytest.skip("only PyTorch is known to refuse one in float64")
    torch = importlib.import_module("torch")
    labels = torch.tensor([0, 1, 2, 0])
    found = measured(bridge, lambda x: torch.nn.functional.multi_margin_loss(x, labels, p=2, reduction="none"))
    assert found == {"twice": "raises RuntimeError", "three times": "no"}
