"""Each test of training with Keras begins when TensorFlow is configured; most ask for double precision, too."""

import keras
import pytest


@pytest.fixture(autouse=True)
def _bridge(bridge):
    pass


@pytest.fixture
def double(bridge):
    """Double precision, so that a mistake is larger than rounding."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")  # Keras derives it from floatx once, at the first layer of the process
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])
