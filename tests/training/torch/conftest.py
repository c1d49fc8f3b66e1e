"""Each test of training with PyTorch begins when PyTorch is configured: it runs on one thread, like all others."""

import pytest


@pytest.fixture(autouse=True)
def _bridge(bridge):
    pass
