"""Each test of training with Keras begins when TensorFlow is configured; most ask for double precision, too."""

import pytest

from equivalence.divided.tensorflow import in_double


@pytest.fixture(autouse=True)
def _bridge(bridge):
    pass


@pytest.fixture
def double(bridge):
    """Double precision, so that a mistake is larger than rounding."""
    with in_double():
        yield
