"""Four devices train like one with the whole batch, however JAX splits it (`four_devices.py`, in a process)."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.training.jax.four_devices import UNITS, averaged, by_shard_map, numbers


@cache
def measured():
    """A part of the cases; tox's ecosystem-jax measures them all."""
    command = [sys.executable, "-m", "tests.training.jax.four_devices", "quick"]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize(
    "way", ["jit, explicit", "shard_map", "shard_map, unchecked", "methods, explicit", "methods, shard_map", "local"]
)
def test_four_devices_are_one(way):
    """Largest difference of an entry, in rounding units of the largest one."""
    assert max(measured()[way].values()) <= UNITS, measured()[way]


def test_an_axis_that_is_not_named_is_refused():
    """On the one device of this process as on four."""
    with pytest.raises(ValueError, match="axis_name: got None in a function that is mapped over 'data'"):
        by_shard_map(averaged(["fgm, table"]), False, *numbers())
