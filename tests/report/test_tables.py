"""Reports from records made by hand: what holds, what fails and what is missing never look alike."""

import io
import math
import re

import pandas as pd
import pytest
from rich.console import Console

from bench.costs import selfcheck
from bench.costs.cells import AGAIN, PRODUCTS, SLOWED
from bench.records.schema import SelfCheckRecord, VariationRecord
from bench.records.store import read
from bench.report import figures, markdown, page, terminal
from bench.report.tables import agreement, costs, variations
from bench.report.tables import claims as claim_tables
from bench.report.tables.entries import NOT_COVERED, NOT_MEASURED, STALE
from equivalence.claim import claims
from tests.report.made import (
    AllOf,
    agreement_record,
    call_record,
    claim_record,
    cold_record,
    cost_record,
    cost_records,
    of_every_kind,
    power_law,
    store,
)

C1 = claims()["C1"]


def row(table, **where):
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def c1(records, code=None):
    return row(claim_tables.claims_table(records, code), claim="C1")


def printed(show, records):
    console = Console(file=io.StringIO(), width=100)
    show(console, records)
    return console.file.getvalue()


def test_holds_fails_crashed_and_missing_are_told_apart():
    cases = C1.cases
    records = [claim_record(case) for case in cases]
    records += [claim_record(case, "jax", power_law(order=1.0 if case in cases[:2] else 2.0)) for case in cases]
    found = c1(records)
    assert found["torch"] == f"holds {len(cases)}/{len(cases)}"
    assert found["jax"] == f"FAILS 2/{len(cases)}, holds {len(cases) - 2}/{len(cases)}"
    assert found["tensorflow"] == "not measured"
    crashed = c1([claim_record(case, status="failed", parts={}) for case in cases])
    assert crashed["torch"] == f"failed {len(cases)}/{len(cases)}"


@pytest.mark.parametrize("status", ["failed", "timeout", "skipped", "unsupported", "interrupted", "wrong"])
def test_no_status_but_ok_looks_like_holding(status):
    found = c1([claim_record(status=status)])["torch"]
    said = {"unsupported": NOT_COVERED}.get(status, status)
    assert said in found and "holds" not in found


def test_a_case_without_record_shows():
    assert c1([claim_record()])["torch"] == f"holds 1/1, not measured {len(C1.cases) - 1}"


def test_a_new_record_replaces_the_one_before():
    assert "FAILS" not in c1([claim_record(part=power_law(order=1.0)), claim_record()])["torch"]


@pytest.mark.parametrize("nothing", [math.nan, None, math.inf])
def test_what_is_not_a_number_fails(nothing):
    part = power_law() | {"norms": [nothing] * 10}
    record = claim_record(part=part)
    assert not record.verdict.holds
    assert c1([record])["torch"].startswith("FAILS 1/1")
    assert "C1.svg" not in figures.figures([record])
    found = row(agreement.agreement_table([agreement_record([nothing])]), usage="hvp")
    assert found["verdict"] == "FAILS 1/1" and "nan" in found["torch float64"]


def test_the_reason_of_a_failure_is_in_the_details():
    bad = row(claim_tables.claim_details([claim_record(part=power_law(order=1.0))]), claim="C1")
    assert bad["result"] == "FAILS" and "order 2" in bad["reason"] and "1.0" in bad["reason"]
    late = row(claim_tables.claim_details([claim_record(status="timeout", reason="no answer in 120 s")]), claim="C1")
    assert (late["result"], late["reason"]) == ("timeout", "no answer in 120 s")


def test_only_a_judged_measurement_rejects_a_mistake():
    rejected, accepted, crashed, *left = C1.wrong
    records = [
        claim_record(),
        claim_record(wrong=f"C1: {rejected}", part=power_law(order=1.0)),
        claim_record(wrong=f"C1: {accepted}"),
        claim_record(wrong=f"C1: {crashed}", status="failed", reason="TypeError: no", parts={}),
    ]
    total = len(C1.wrong)
    assert c1(records)["mistakes rejected"] == f"1/{total}, ACCEPTED 1, not measured {1 + len(left)}"
    assert c1([claim_record()])["mistakes rejected"] == "not measured"
    assert c1(records[1:2])["torch"] == "not measured"  # a mistake says nothing of the method itself


def test_headline_is_the_worst_of_the_frameworks():
    records = [claim_record(), claim_record(framework="jax", part=power_law(order=2.05) | {"coefficient": 3})]
    assert c1(records)["measured"] == "slope 2.050 (2), coefficient off by 0.01%"


def test_two_frameworks_are_compared_by_their_signed_errors():
    records = [agreement_record([3.0, 1.0]), agreement_record([-2.0, 1.0], "jax")]
    found = row(agreement.agreement_table(records), usage="hvp")
    assert found["between frameworks"] == "5 (torch, jax: float64 tanh-mlp)"
    assert (found["torch float64"], found["torch float32"]) == ("3 · 0.75", "not measured")
    assert (found["condition"], found["verdict"]) == ("12", "holds 2/2")


def test_methods_are_compared_pair_by_pair_over_all_cases():
    records = [agreement_record([3.0, 1.0]), agreement_record([-2.0, 1.0], "jax")]
    worse = [record.model_copy(update={"case": "digits-mlp"}) for record in records]
    worse[0].measurement = worse[0].measurement | {"value": [4.0, 1.0]}
    found = row(agreement.cross_framework_table(records + worse), method="hvp")
    assert found["torch – jax float64"] == "6 (digits-mlp)"
    assert found["torch – jax float32"] == found["torch – tensorflow float64"] == "not measured"


def test_what_a_planted_mistake_did_is_no_agreement():
    planted = agreement_record([1e9, 1.0], wrong="the sign is lost")
    for records in ([planted], [agreement_record([3.0, 1.0]), planted]):
        honest = len(records) - 1
        assert len(agreement.agreement_details(records)) == honest
        verdict = row(agreement.agreement_table(records), usage="hvp")["verdict"]
        assert verdict == ("holds 1/1" if honest else "not measured")


def test_false_alarms_are_counted():
    fine = VariationRecord(framework="jax", seed=0, status="ok", count=38, worst=3.0)
    alarm = VariationRecord(framework="jax", seed=1, status="ok", count=38, worst=40.0, failures={"hvp": "off by 40"})
    died = VariationRecord(framework="jax", seed=2, status="timeout", reason="took longer")
    found = row(variations.variations_table([fine, alarm, died]), framework="jax")
    assert (found["variations"], found["false alarms"], found["largest error"]) == ("76", "2", "nan")
    assert row(variations.variations_table([fine]), framework="torch")["variations"] == "not measured"


def test_a_one_liner_stands_beside_the_same_step_by_hand():
    plain, line = cost_records("plain", [1.0, 1.01, 0.99]), cost_records("adversarial_training", [1.9, 2.0, 1.8])
    by_hand = cost_records("adversarial by hand", [1.9, 2.0 / 1.02, 1.8 * 1.02])
    (row,) = costs.by_hand_table([*plain, *line, *by_hand]).to_dict("records")
    assert (row["one line"], row["× by hand"], row["blocks"]) == ("adversarial_training", "1.00", "3")
    assert row["beside by hand"] == "same" and row["interval"] == "0.95–1.05" and row["ms added"] == "0.00"
    (row,) = costs.by_hand_table([*plain, *cost_records("adversarial_training", [2.2, 2.3]), *by_hand]).to_dict(
        "records"
    )
    added = float(row["ms a step"]) * (1 - (1.9 / 2.2 * 2.0 / 1.02 / 2.3) ** 0.5)
    assert float(row["ms added"]) == pytest.approx(added, abs=0.01)
    assert row["blocks"] == "2" and row["× by hand"] == f"{(2.2 / 1.9 * 2.3 / (2.0 / 1.02)) ** 0.5:.2f}"
    wrong = cost_records("adversarial by hand", [1.9, 1.9], status="wrong", reason="off")
    (row,) = costs.by_hand_table([*plain, *line, *wrong]).to_dict("records")
    assert row["× by hand"] == "–" and row["beside by hand"] == "no data" and "wrong" in row["status"]
    assert costs.by_hand_table([*plain, *line]).empty


def test_costs_stand_beside_their_floor():
    records = [*cost_records("plain", [0.97, 1.0, 1.04], floor=1.0), cost_record("fgm", quick=True)]
    table = costs.cost_table(records)
    fgm, plain = row(table, method="fgm"), row(table, method="plain")
    shown = fgm[["ms a step", "× plain", "interval", "ideal ratio", "of machine", "blocks", "error", "status"]].tolist()
    assert shown == ["22", "? 2.00", "–", "1.67", "–", "1", "4", "ok, quick"]
    assert plain["× plain"] == "≈ 1.00" and plain["interval"] == "0.92–1.09"


def test_a_ratio_within_the_noise_is_marked():
    noise = cost_records("plain", [0.97, 1.0, 1.04])

    def shown(*ratios):
        return row(costs.cost_table([*noise, *cost_records("fgm", ratios)]), method="fgm")["× plain"]

    assert shown(1.0, 1.03, 1.06) == "≈ 1.03"
    assert shown(1.06, 1.07, 1.08) == "1.07"
    assert shown(0.9, 1.3, 1.2) == "? 1.12"


def test_without_a_noise_floor_nothing_near_1_is_told():
    assert row(costs.cost_table([cost_record("fgm", 1.01)]), method="fgm")["× plain"] == "? 1.01"
    sized = [cost_record("fgm", 1.01, workload="digits-mlp batch=64")]
    assert len(costs.cost_table(sized, sized=True)) == 1 and costs.cost_table(sized).empty


@pytest.mark.parametrize("status", ["wrong", "failed", "skipped"])
def test_no_time_is_shown_for_what_is_not_ok(status):
    found = row(costs.cost_table([cost_record("fgm", status=status, reason="why")]), method="fgm")
    assert set(found[["ms a step", "× plain", "interval", "of machine"]]) == {costs.NONE}
    assert found["status"] == f"{status}: why"


def test_one_wrong_block_takes_the_time_from_all():
    """A failed one does not; that it failed is said."""
    good = [cost_record("plain", 1.01), *cost_records("fgm", [2.0, 2.0])]
    wrong = row(costs.cost_table([*good, cost_record("fgm", block=2, status="wrong")]), method="fgm")
    assert wrong["× plain"] == costs.NONE
    failed = row(
        costs.cost_table([*good, cost_record("fgm", block=2, status="failed", reason="it died")]), method="fgm"
    )
    assert (failed["× plain"], failed["status"]) == ("2.00", "failed: it died (1 of 3 blocks)")


def test_blocks_of_other_code_are_no_part_of_the_mean():
    old = [cost_record("plain", 1.5), *cost_records("fgm", [5.0] * 4)]
    new = [cost_record("plain", 1.01), *cost_records("fgm", [2.0] * 2)]
    for record in new:
        record.code, record.time = "new", "2026-01-02T03:04:05+00:00"
    found = row(costs.cost_table([*old, *new]), method="fgm")
    assert (found["× plain"], found["blocks"]) == ("2.00", "2")


def test_a_quick_look_does_not_replace_what_was_measured_thoroughly():
    thorough = [*cost_records("plain", [1.01] * 6), *cost_records("fgm", [2.0] * 6)]
    quick = [cost_record(method, ratio, quick=True) for method, ratio in (("plain", 1.01), ("fgm", 3.0))]
    for record in quick:
        record.time = "2026-01-02T03:04:05+00:00"
    found = row(costs.cost_table([*thorough, *quick]), method="fgm")
    assert (found["× plain"], found["blocks"], found["status"]) == ("2.00", "6", "ok")
    assert row(costs.cost_table(quick), method="fgm")["status"] == "ok, quick"


def test_a_disturbed_block_is_left_out_and_said():
    records = [*cost_records("plain", [1.0] * 4), *cost_records("fgm", [2.0] * 3)]
    records.append(cost_record("fgm", 5.0, block=3, foreign=0.9))
    found = row(costs.cost_table(records), method="fgm")
    assert (found["× plain"], found["blocks"]) == ("2.00", "3")
    assert found["status"] == "ok, 1 of 4 blocks disturbed"
    alone = row(costs.cost_table([*cost_records("plain", [1.0] * 4), records[-1]]), method="fgm")
    assert alone["× plain"] == costs.NONE and alone["status"] == "ok, 1 of 1 blocks disturbed"


def test_what_was_counted_takes_the_place_of_the_nominal_floor():
    records = [cost_record("plain", 1.01), cost_record("fgm", 2.0), cold_record(counted=1.9, least=1.8)]
    found = row(costs.cost_table(records), method="fgm")
    assert found[["counted", "ideal ratio", "of machine"]].tolist() == ["1.90", "1.80", costs.NONE]
    assert row(costs.cost_table(records), method="plain")["counted"] == costs.NONE


def test_the_share_of_the_machine_is_that_of_the_products_by_themselves():
    records = [*cost_records("plain", [1.0], floor=1.0), cost_record("fgm", 2.0), cold_record(counted=1.9, least=1.8)]
    alone = cost_record(PRODUCTS, 0.8, floor=0.0, error=0.0)
    table = costs.cost_table([*records, alone])
    assert [row(table, method=name)["of machine"] for name in ("plain", "fgm")] == ["80%", "72%"]
    products = row(table, method=PRODUCTS)
    assert (products["× plain"], products["ideal ratio"], products["error"]) == ("? 0.80", costs.NONE, costs.NONE)


def test_what_is_paid_before_and_the_memory():
    found = row(costs.cold_table([cold_record()]), method="fgm")
    shown = found[["import s", "trace s", "compile s", "step ms", "before MiB", "in steps MiB", "GPU MiB"]].tolist()
    assert shown == ["1.2", "0", "2", "12.5", "300", "420", costs.NONE]


def test_stale_records_are_marked():
    record = claim_record()
    record.code = "old"
    assert c1([record], AllOf("new"))["torch"].endswith(STALE)
    assert STALE not in c1([record], AllOf("old"))["torch"]
    assert STALE not in c1([record])["torch"]


def test_a_truncated_line_is_reported_and_the_rest_kept(tmp_path):
    records = [agreement_record([1.0, 2.0]), cost_record("plain", 1.0)]
    path = store(tmp_path, records, ending='{"kind": "claim", "cla')
    assert len(read(path)[0]) == len(records)
    problems = page.write(tmp_path)
    number = f"records.jsonl:{len(records) + 1}:"
    assert len(problems) == 1 and number in problems[0]
    text = (tmp_path / "README.md").read_text()
    assert number in text and str(tmp_path) not in text


def test_the_page_says_what_was_found(tmp_path):
    store(tmp_path, of_every_kind())
    assert page.write(tmp_path) == []
    text = (tmp_path / "README.md").read_text()
    for part in ("a CPU", "abc1234, with changes", "torch 2.9", "no answer in 120 s", "FAILS", "timeout", "stale"):
        assert part in text
    for figure in ("C1.svg", "D3-float32.svg"):
        assert f"(here/figures/{figure})" in text and (tmp_path / "here" / "figures" / figure).exists()
    widths = [line.replace(r"\|", "").count("|") for line in text.splitlines() if line.startswith(("| C1", "| claim"))]
    assert len(set(widths[:2])) == 1


def test_rendering_twice_gives_the_same_bytes(tmp_path):
    store(tmp_path, of_every_kind())
    seen = []
    for _ in range(2):
        page.write(tmp_path)
        seen.append({path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()})
    assert seen[0] == seen[1]
    names = {path.name for path in seen[0]}
    assert names == {"records.jsonl", "README.md", "index.html", "summary.md", "badge.json", "history.csv",
                     "C1.svg", "D3-float32.svg"}  # fmt: skip


@pytest.mark.parametrize("records", [None, []])
def test_an_empty_store_says_not_measured(tmp_path, records):
    if records is not None:
        store(tmp_path, records)
    assert page.write(tmp_path) == []
    text = (tmp_path / "README.md").read_text()
    assert "not measured" in text and "holds 0" not in text
    assert all(claim.title.split()[0] in text for claim in claims().values())


def test_bytes_that_are_no_text_are_a_problem(tmp_path):
    store(tmp_path, []).write_bytes(b'{"kind": "\xff\xfe')
    assert len(page.write(tmp_path)) == 1


def test_markup_in_a_reason_stays_text():
    shown = markdown.table(pd.DataFrame({"reason": ["a | b\n*c* <d> [e](f)"]}))
    assert shown.count("\n") == 3 and r"a \| b \*c\* \<d> \[e\](f)" in shown
    assert "[bold]" in printed(terminal.print_claims, [claim_record(status="failed", reason="[bold] no")])


def test_the_terminal_shows_failures_with_their_reasons():
    records = of_every_kind()
    claims_shown = " ".join(printed(terminal.print_claims, records).split())
    assert "slope 2.000 (2)" in " ".join(printed(terminal.print_claims, records[:2]).split())
    assert "C1, jax, tanh-mlp: FAILS" in claims_shown and "order 2 on only 0" in claims_shown
    assert "C1, torch, softmax: timeout: no answer in 120 s" in claims_shown
    assert "hvp, jax, tanh-mlp, float64: FAILS" in printed(terminal.print_agreement, records)
    assert "torch eager: fgm" in printed(terminal.print_costs, records)
    for show in (terminal.print_claims, terminal.print_agreement, terminal.print_costs):
        empty = " ".join(printed(show, []).split())  # cells may be wrapped
        assert "not" in empty and "measured" in empty and not re.search(r"holds \d", empty)
        assert max(map(len, printed(show, records).splitlines())) <= 100


def selfcheck_records(shifts, runs=2):
    """Runs of six blocks each: every block shows its method's shift, and the plain step's noise is 1 %."""
    made = []
    for run in range(runs):
        for block in range(6):
            for method, shift in {"plain": 0.01 * (-1) ** block, **shifts}.items():
                steps = [0.01 * math.exp(shift)] * 4
                made.append(
                    SelfCheckRecord(
                        method=method, framework="torch", mode="eager", workload="mlp", run=run, block=block,
                        status="ok", steps=steps, base=[0.01] * 4,
                    )
                )  # fmt: skip
    return made


def test_the_timer_is_believed_only_where_every_run_tells():
    told = selfcheck_records({AGAIN: 0.003, SLOWED: math.log(1.1)})
    assert selfcheck.holds(told)
    table = costs.selfcheck_table(told)
    slowed = table[table["beside a plain step"] == SLOWED].iloc[0]
    assert (slowed["× plain"], slowed["said"]) == ("1.100", "slower 2 of 2")
    assert not selfcheck.holds(selfcheck_records({AGAIN: 0.003, SLOWED: 0.004}))
    assert not selfcheck.holds(selfcheck_records({AGAIN: 0.05, SLOWED: math.log(1.1)}))
    died = [record.model_copy(update={"status": "failed", "steps": []}) for record in told[:3]]
    assert not selfcheck.holds([*died, *told[3:]])
    assert not selfcheck.holds([])


@pytest.mark.filterwarnings("error")
def test_a_timer_that_was_always_disturbed_shows_no_number():
    """Nor does it warn of a mean of nothing."""
    table = costs.selfcheck_table(
        [record.model_copy(update={"foreign": 2.0}) for record in selfcheck_records({AGAIN: 0.0, SLOWED: 0.1})]
    )
    assert len(table) and set(table["× plain"]) == set(table["spread of a block"]) == {costs.NONE}


def test_a_figure_keeps_its_words_whole():
    text = figures.figures([claim_record(framework=name) for name in ("torch", "jax")])["C1.svg"]
    assert "torch: slope 2.000" in text and "theory: c·ε²" in text
    assert 'role="img" aria-label="C1  ' in text and figures.INK not in text and "currentColor" in text
    assert [figures.power(10.0**exponent) for exponent in (-5, 0, 2)] == ["10⁻⁵", "10⁰", "10²"]
    assert figures.power(0.5) == "0.5"


def test_calls_have_a_row_a_method_and_a_cell_a_framework():
    raised = call_record([1.0], "jax")
    raised.parts["hvp: many"] = {"error": "hvp raised ValueError: no"}
    table = agreement.calls_table([call_record([0.25]), raised]).set_index("method")
    assert table.loc["hvp", "torch"] == "holds, 1 calls" and table.loc["hvp", "jax"] == "FAILS, 2 calls"
    assert table.loc["hvp", "largest error"].startswith("nan (jax: hvp: many")
    assert not raised.verdict.holds and "hvp raised ValueError: no" in raised.verdict.reason
    assert (table.drop(index="hvp")[["torch", "jax"]] == NOT_MEASURED).all(axis=None)


def test_a_call_that_is_off_is_rejected_by_numbers_and_one_that_raised_is_caught():
    off, raised = call_record([1e6]), call_record([1.0], parts={"hvp: vectors": {"error": "no"}})
    assert not off.verdict.holds and off.verdict.judged
    assert not raised.verdict.holds and not raised.verdict.judged


@pytest.mark.parametrize(
    "text", ["a\rb", "a\nb", "a\x0bb", "a\x85b", "a\u2028b", "|", "&lt;", "_x_", "`x`", "<b>", "[a](b)", "\\"]
)
def test_any_text_is_one_cell_that_shows_as_it_is(text):
    markdown_it = pytest.importorskip("markdown_it")
    lines = markdown.table(pd.DataFrame([[text, "end"]], columns=["a", "b"])).splitlines()
    assert len(lines) == 3
    tokens = markdown_it.MarkdownIt("commonmark").enable("table").parse("\n".join(lines))
    cells = [token for token in tokens if token.type == "inline"]
    said = ["".join(part.content for part in cell.children) for cell in cells]
    assert said == ["a", "b", re.sub(r"[\r\n\x0b\x85\u2028]", " ", text), "end"]
