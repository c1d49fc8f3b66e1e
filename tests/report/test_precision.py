"""Half precision in plans, judgements and tables: what is measured in it, held to it, and shown beside float32."""

import math

import numpy as np
import pytest

from bench.costs.cells import FLOAT32, HALF_WORKLOADS, LOOPS, plan
from bench.costs.workloads import build
from bench.proofs import precision as planning
from bench.proofs.verify import Chosen, tasks
from bench.records.schema import PrecisionRecord, TrainingRecord
from bench.report.answers import state_agreement, state_costs
from bench.report.precision_figures import precision_figures
from bench.report.reproduce import command
from bench.report.tables import agreement, costs, effects, precision
from equivalence.cases import REGISTRY, rounded
from equivalence.judge import AGREEMENT_UNITS, HALF_UNITS, judge
from equivalence.measure import FULL, HALF, ROUNDING_UNIT, mixing, rounding_unit
from equivalence.precision import CASES, COSINE, DEFAULT, SWEEP, compared, cosines
from equivalence.reference import known
from tests.report.made import agreement_record, cost_records


def dtypes_of(**options):
    return {task[2] for task in tasks(Chosen(frozenset("F"), **options)) if task[0] == "agreement"}


def test_half_precision_is_measured_where_it_is_asked_for():
    assert dtypes_of() == set(FULL)
    assert dtypes_of(precisions=frozenset(["bfloat16"])) == {"bfloat16", "mixed bfloat16"}
    assert dtypes_of(precisions=frozenset(ROUNDING_UNIT)) == {*FULL, *HALF, *map(mixing, HALF)}


def test_what_is_asked_for_in_half_precision_alone_calls_nothing():
    assert all(task[0] == "agreement" for task in tasks(Chosen(frozenset("F"), precisions=frozenset(HALF))))


@pytest.mark.parametrize("dtype", HALF)
def test_a_case_holds_numbers_of_the_dtype(dtype):
    case = known("tanh-mlp", dtype).case
    for array in (case.x, *case.params.values(), *case.extra.values()):
        assert (rounded(array, dtype) == array).all()
    assert known("tanh-mlp", "float32").case is known("tanh-mlp").case is REGISTRY["tanh-mlp"]()


def test_rounding_is_to_the_nearest_and_of_ties_to_even():
    given = np.array([1.0, 1 + 2.0**-8, 1 + 3 * 2.0**-8, -1 - 2.0**-9, 3e38, 0.0])
    assert rounded(given, "bfloat16").tolist() == [1, 1, 1 + 2.0**-6, -1, float(np.ldexp(226.0, 120)), 0]
    assert rounded(np.array([1 + 2.0**-11]), "float16") == [1]


def test_a_half_precision_result_is_held_to_fewer_units():
    for dtype, most in (("float32", AGREEMENT_UNITS), ("bfloat16", HALF_UNITS), ("mixed float16", HALF_UNITS)):
        unit = rounding_unit(dtype)
        for units, holds in ((most, True), (1.01 * most, False)):
            part = {"kind": "agreement", "value": [units], "gradient": [0.0], "worst gradient": 0.0}
            assert judge(part | {"rounding unit": unit, "condition": [1.0, 1.0]}).holds is holds


def test_half_precision_has_a_table_of_its_own():
    def in_half(value):
        record = agreement_record([value, 1.0], "jax")
        record.dtype = "mixed bfloat16"
        record.measurement = record.measurement | {"rounding unit": ROUNDING_UNIT["bfloat16"]}
        return record

    half, bad = in_half(1.0), in_half(2.0 * HALF_UNITS)
    table = agreement.half_agreement_table([agreement_record([3.0, 1.0]), half])
    found = table[table["usage"] == "hvp"].iloc[0]
    assert found["jax mixed bfloat16"] == "1 · 0.75" and found["torch bfloat16"] == "not measured"
    full = agreement.agreement_table([half])
    assert "jax mixed bfloat16" not in full and full[full["usage"] == "hvp"].iloc[0]["verdict"] == "not measured"
    tables = agreement.agreement_table([bad]), agreement.half_agreement_table([bad])
    assert "hvp in half precision" in state_agreement(*tables, [bad]).detail


def test_steps_in_half_precision_are_planned_on_three_networks():
    cells = plan(["torch", "jax"], dtype="bfloat16")
    assert {cell.workload for cell in cells} == set(HALF_WORKLOADS) and {cell.dtype for cell in cells} == {"bfloat16"}
    assert {"plain", "fgm", "gradient_penalty", "vat"} <= {cell.method for cell in cells}
    assert not {cell.method for cell in cells} & LOOPS.keys() - {"plain"}


def test_a_workload_in_half_precision_is_timed_on_numbers_that_it_holds():
    case = build("digits-mlp batch=4 width=8", "bfloat16")
    assert (rounded(case.x, "bfloat16") == case.x).all()
    assert (rounded(case.params["0.weight"], "bfloat16") == case.params["0.weight"]).all()


def test_a_cell_in_half_precision_stands_beside_float32():
    half = [record.model_copy(update={"dtype": "bfloat16"}) for record in cost_records("fgm", [2.0, 2.0])]
    wide = cost_records("fgm", [1.0, 1.0])
    (row,) = costs.half_table([*half, *wide]).to_dict("records")
    assert (row["dtype"], row["× plain"], row["beside float32"]) == ("bfloat16", "2.00", "2.00, slower")
    (alone,) = costs.half_table(half).to_dict("records")
    assert alone["beside float32"] == "–"
    assert costs.half_table(wide).empty
    assert state_costs(costs.cost_table(half)).answer == "not measured"
    assert command(half[0]).endswith("--method fgm --dtype bfloat16") and FLOAT32 not in command(wide[0])


def training(accuracy, seed, dtype, regime="fgm", strength=1.0):
    return TrainingRecord(
        dataset="reviews-1000", regime=regime, strength=strength, seed=seed, part="test", framework="torch",
        status="ok", accuracy=accuracy, dtype=dtype,
    )  # fmt: skip


def test_trainings_in_half_precision_are_paired_with_float32():
    wide = [training(0.80 + 0.01 * seed, seed, FLOAT32) for seed in range(3)]
    half = [training(0.79 + 0.01 * seed, seed, "bfloat16") for seed in range(3)]
    plain = [training(0.78, seed, dtype, "plain") for seed in range(3) for dtype in (FLOAT32, "bfloat16")]
    table = effects.half_effects_table([*wide, *half, *plain])
    found = table[table["regime"] == "fgm"].iloc[0]
    assert found["bfloat16 beside float32"].startswith("-1.00") and found["seeds"] == "3"
    assert found["gain in float32"].startswith("+3.00") and found["gain in bfloat16"].startswith("+2.00")
    other = [training(0.79, seed, "bfloat16", strength=3.0) for seed in range(3)]
    table = effects.half_effects_table([*wide, *other, *plain])
    assert table[table["regime"] == "fgm"].iloc[0]["seeds"] == "0"  # of another strength: no pair
    assert len(effects.effects_table([*half, *plain])) == 1  # of the plain runs in float32


def measured(cosine=0.9999, lost=0.0, dtype="bfloat16", **options):
    kept = {"cosines": [1.0, cosine], "lost": lost}
    sweep = {"xi": [1e-3, 1.0], "cosines": [0.1, 1.0]}
    methods = {SWEEP: sweep} if dtype in FULL else {SWEEP: sweep, DEFAULT: kept}
    return PrecisionRecord(framework="torch", case="digits-mlp", dtype=dtype, status="ok", methods=methods, **options)


def test_a_direction_that_is_lost_fails():
    assert measured().verdict.holds and measured(dtype="float64").verdict.holds
    assert not measured(COSINE - 0.001).verdict.holds and not measured(math.nan).verdict.holds
    table = precision.precision_table([measured(0.5, lost=0.5)]).set_index("method")
    assert table.loc[DEFAULT, "torch bfloat16"] == "0.5000 · – · 50%"
    assert table.loc[DEFAULT, "torch bfloat16"].state == "bad" and table.loc["fgm", "jax float16"] == "not measured"


def test_cosines_and_losses_of_directions():
    right = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]])
    given = np.array([[3e-30, 4e-30], [0.0, 0.0], [0.0, 0.0]])
    assert cosines(given, right).tolist() == [1, 0, 0]
    assert compared(given, right)["lost"] == 1 / 3  # a sample without a direction has none to lose


def test_the_figure_has_a_panel_a_case():
    records = [measured(dtype=dtype) for dtype in (*FULL, *HALF)]
    drawn = precision_figures([*records, *(r.model_copy(update={"case": "bert"}) for r in records)])
    assert list(drawn) == ["precision-torch.svg"]
    assert all(word in drawn["precision-torch.svg"] for word in ("digits-mlp", "bert", "bfloat16"))
    assert not precision_figures([])


def test_the_command_measures_every_case_in_every_precision():
    (job,) = planning.jobs(["torch"], (), (), "cpu", 1)
    assert {(case, dtype) for _, case, dtype in job.tasks} == {
        (case, dtype) for case in CASES for dtype in (*FULL, *HALF, *map(mixing, HALF))
    }
