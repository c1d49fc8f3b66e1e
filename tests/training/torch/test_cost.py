"""What a step costs: how often the model is called."""

import pytest
from torch import nn

from tests.training.torch.by_hand import EACH, METHODS, WIDTH, Image, batch, made

PASSES = {"fgm": 2, "fgm, half clean": 2, "pgd": 3, "freelb": 2, "penalty": 1, "penalty, difference": 3, "vat": 2}


@pytest.mark.parametrize("name", METHODS)
def test_the_model_is_called_as_often_as_the_contract_says(name):
    method, options = METHODS[name]
    model, calls = made(Image), []
    model.register_forward_hook(lambda *_: calls.append(1))
    method(model, EACH, **options)(*batch(Image))
    assert len(calls) == PASSES[name]
    normalised = nn.Sequential(nn.BatchNorm1d(WIDTH).double(), model)
    calls.clear()
    method(normalised, EACH, **options)(*batch(Image))
    assert len(calls) == PASSES[name] + (name in ("pgd", "freelb"))  # a clean pass for the statistics
