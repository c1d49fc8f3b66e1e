"""Growth: sizes reach the workload, exponents are those of the work, and what is missing leaves a visible gap."""

import numpy as np
import pytest

from bench.costs import growth
from bench.costs.cells import TIMED
from bench.costs.growth import SWEEPS, exponent
from bench.costs.timing import sizes
from bench.costs.workloads import build
from bench.records.schema import CostRecord
from bench.report.growth_figures import growth_figures
from bench.report.tables import costs


def block(cell, seconds, **options):
    return CostRecord(
        method=cell.method, framework=cell.framework, mode=cell.mode, workload=cell.workload,
        **({"status": "ok", "steps": [seconds] * 4, "base": [seconds] * 4} | options),
    )  # fmt: skip


def swept(name, cost, **options):
    """Records of a sweep in which every step takes `cost(size)` seconds."""
    sweep = SWEEPS[name]
    sized = zip(np.repeat(sweep.sizes, len(sweep.methods)), sweep.cells("torch"), strict=True)
    return [block(cell, float(cost(size)), **options) for size, cell in sized]


def test_a_power_law_has_its_exponent():
    assert exponent([1, 2, 4, 8], [3, 12, 48, 192]) == pytest.approx(2)
    assert np.isnan(exponent([4], [1])) and np.isnan(exponent([1, 2], [0, 1])) and np.isnan(exponent([], []))


@pytest.mark.parametrize("sweep", SWEEPS.values(), ids=lambda sweep: sweep.name)
def test_every_cell_of_a_sweep_can_be_timed(sweep):
    for cell in sweep.cells("jax"):
        assert not TIMED[cell.method].unsupported(build(cell.workload)), cell


def test_predictions_for_what_is_known_by_heart():
    batch, width, length = SWEEPS["batch"], SWEEPS["width"], SWEEPS["sequence length"]
    assert batch.predicted("plain", batch.sizes) == pytest.approx(1)
    assert 1 < width.predicted("plain", width.sizes) < 2
    assert 1 < length.predicted("plain", length.sizes) < 2
    classes = SWEEPS["number of classes"]
    assert classes.predicted("jacobian_penalty exact", (32, 64)) > 0.9 > 0.1 > classes.predicted("plain", (32, 64))


def test_sizes_reach_the_workload():
    assert build("digits-mlp batch=4 width=32").x.shape == (4, 28, 28)
    assert build("digits-mlp batch=4 width=32").params["1.weight"].shape == (32, 32)
    assert build("digits-mlp batch=4 side=3 width=32").x.shape == (4, 3, 3)
    case = build("digits-mlp batch=64 classes=32 width=32")
    assert case.params["2.bias"].shape == (32,) and case.labels.max() > 9
    assert build("bert-tiny batch=2 length=16").tokens.shape == (2, 16)


@pytest.mark.parametrize(
    "name", ["digits-mlp depth=3", "digits-mlp batch=0.5", "digits-mlp batch=", "mnist", "digits-cnn batch=2"]
)
def test_unknown_sizes_are_refused(name):
    with pytest.raises(ValueError, match="expected"):
        build(name)


def test_a_larger_size_is_known_as_one():
    small, large = ([cell] for cell in SWEEPS["batch"].cells("torch")[::4][:2])
    ((kind, size),), ((same, more),) = sizes(small), sizes(large)
    assert kind == same and size < more
    assert sizes(SWEEPS["steps"].cells("torch")[:1]) == []


def test_the_exponent_stands_beside_the_predicted_one():
    table = costs.growth_table(swept("batch", lambda size: size**1.5))
    assert set(table["exponent"]) == {"1.50"} and set(table["predicted"]) == {"1.00"}
    assert "1024: 3.28e+07" in table["ms a step"].iloc[0]
    assert len(growth_figures(swept("batch", lambda size: size))) == 1


def test_blocks_give_the_exponent_an_interval():
    slopes = (0.9, 1.0, 1.1)
    records = [
        record.model_copy(update={"block": block})
        for block, slope in enumerate(slopes)
        for record in swept("batch", lambda size, slope=slope: size**slope)
    ]
    row = costs.growth_table(records).iloc[0]
    assert (row["exponent"], row["interval"], row["blocks"]) == ("1.00", "0.75–1.25", "3")  # 4.303 · 0.1 / √3
    assert costs.growth_table(swept("batch", lambda size: size)).iloc[0]["interval"] == costs.NONE


def test_what_was_not_timed_is_said_and_has_no_exponent():
    records = swept("batch", lambda size: size)
    records[-4] = records[-4].model_copy(update={"status": "timeout", "steps": []})
    table = costs.growth_table(records).set_index("method")
    assert "1024: timeout" in table.loc["plain", "ms a step"] and table.loc["plain", "exponent"] == costs.NONE
    assert table.loc["fgm", "exponent"] == "1.00"


def test_growth_is_no_part_of_the_cost_table():
    assert costs.cost_table(swept("batch", lambda size: size)).empty
    assert growth.SWEEPS["steps"].workload == "digits-mlp"
