"""Each test of training with JAX begins when JAX is configured: no array may be made before."""

import pytest


@pytest.fixture(autouse=True)
def _bridge(bridge):
    pass
