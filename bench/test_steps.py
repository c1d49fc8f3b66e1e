"""The timed steps under pytest-benchmark, for its comparisons and histograms.

`python -m pytest bench --framework torch --benchmark-only -k digits-mlp` takes the same steps as
`bench.costs.time_block`, without its interleaving: ratios between rows drift with the machine.
"""

import functools

import pytest

from bench.costs.cells import TIMED
from bench.costs.expected_steps import Expected, expected
from bench.costs.prepare import prepare
from equivalence.datasets import MissingData
from equivalence.judge import AGREEMENT_UNITS

ROUNDS, WARM_UP = 20, 3


@pytest.fixture(scope="session")
def wanted(tmp_path_factory):
    """What the oracle expects of a workload's method, computed when a test asks for it."""

    @functools.cache
    def compute(workload, method):
        path = tmp_path_factory.mktemp("expected") / "expected.npz"
        try:
            expected(workload, [method], path)
        except MissingData as missing:
            pytest.skip(str(missing))
        return Expected(path)

    return compute


def test_step(cell, bridge, wanted, benchmark):
    """Right first: what is wrong gets no time."""
    want = wanted(cell.workload, cell.method)
    prepared = prepare(cell)
    assert want.units(cell.method, prepared.numpy(prepared.run()), cell.dtype) <= AGREEMENT_UNITS
    benchmark.group = f"{cell.workload}, {cell.framework} {cell.mode}"
    benchmark.extra_info["floor in plain steps"] = float(TIMED[cell.method].floor)
    benchmark.pedantic(prepared.run, rounds=ROUNDS, warmup_rounds=WARM_UP)
