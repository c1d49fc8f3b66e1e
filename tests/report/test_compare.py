"""Two sets of results: what the same code measured twice is no change, what is slower is one when found twice more."""

import json

import numpy as np
import pytest

from bench.records.schema import Environment, VariationRecord
from bench.report import compare
from tests.report.made import agreement_record, claim_record, cost_record, cost_records, power_law, store

FAILING = power_law(order=1.0)


def measured(tmp_path, name, records, machine="here"):
    out = tmp_path / name
    store(out, records)
    if machine != "here":
        (out / "here").rename(out / machine)
    return compare.results(str(out))


def timed(ratio, seed, spread=0.01, blocks=6):
    """Blocks around a ratio, beside a plain step that differs from itself by as much."""
    rng = np.random.default_rng(seed)
    plain = cost_records("plain", np.exp(spread * rng.standard_normal(blocks)))
    return [*plain, *cost_records("fgm", ratio * np.exp(spread * rng.standard_normal(blocks)))]


def words(found):
    return [(change.change, change.what.split()[1]) for change in found]


def test_the_same_code_measured_twice_is_no_change(tmp_path):
    for seed in range(20):
        base, new = (measured(tmp_path, f"{side}{seed}", timed(2.0, seed + 100 * side)) for side in (1, 2))
        assert compare.compare(base, new) == []


def test_slower_by_a_seventh_is_a_regression_when_two_more_runs_find_it(tmp_path):
    sides = [measured(tmp_path, str(number), timed(2.0 if number == 0 else 2.3, number)) for number in range(4)]
    [once] = compare.compare(sides[0], sides[1])
    assert (once.change, once.regression) == ("slower, not confirmed", False)
    [found] = compare.compare(sides[0], sides[1], sides[2:])
    assert (found.change, found.regression) == ("slower", True)
    assert found.difference.startswith("× 1.1") and found.machine == "here"


def test_slower_once_and_not_again_is_nothing(tmp_path):
    sides = [measured(tmp_path, str(number), timed(ratio, number)) for number, ratio in enumerate([2.0, 2.3, 2.0, 2.0])]
    assert compare.compare(sides[0], sides[1], sides[2:]) == []


def test_faster_is_said_and_no_regression(tmp_path):
    base, new = (measured(tmp_path, str(ratio), timed(ratio, 0)) for ratio in (2.3, 2.0))
    [found] = compare.compare(base, new)
    assert (found.change, found.regression) == ("faster", False)


def test_a_plain_step_is_compared_by_its_time(tmp_path):
    def times(scale):
        return [
            cost_record("plain", scale * 1.0, block, base=[0.01] * 4, steps=[scale * 0.01] * 4) for block in range(6)
        ]

    base, new = (measured(tmp_path, str(scale), times(scale)) for scale in (1.0, 1.3))
    [found] = compare.compare(base, new)
    assert found.change == "slower, not confirmed" and found.before == "10 ms" and found.after == "13 ms"


def test_times_of_other_machines_are_not_compared(tmp_path):
    base = measured(tmp_path, "base", timed(2.0, 0))
    new = measured(tmp_path, "new", timed(3.0, 1), machine="elsewhere")
    assert compare.compare(base, new) == []


def at_speed(rate):
    return Environment(
        id=f"{rate}", machine="here", cpu="a CPU", cores=2, memory_gb=8, system="Linux", python="3.12", packages={},
        commit="", dirty=False, product_gflops=rate,
    )  # fmt: skip


@pytest.mark.parametrize(("rate", "compared"), [(100.0, True), (120.0, True), (177.0, False), (None, True)])
def test_machines_of_the_same_name_and_another_speed_are_not_the_same(tmp_path, rate, compared):
    base = measured(tmp_path, "base", [at_speed(100.0), *timed(2.0, 0)])
    new = measured(tmp_path, "new", [at_speed(rate), *timed(3.0, 1)])
    assert bool(compare.compare(base, new)) == compared
    for text in (compare.markdown_text(base, new, []), compare.json_text(base, new, [])):
        assert ("times on here are not compared: a matrix product ran at 100 GFLOP/s and at 177" in text) != compared


def test_what_held_and_does_not_is_a_regression_on_any_machine(tmp_path):
    base = measured(tmp_path, "base", [claim_record(), agreement_record([1.0])])
    new = measured(tmp_path, "new", [claim_record(part=FAILING), agreement_record([99.0])], machine="elsewhere")
    assert words(compare.compare(base, new)) == [("started to fail", "C1"), ("started to fail", "hvp")]
    assert words(compare.compare(new, base)) == [("holds again", "C1"), ("holds again", "hvp")]


def test_a_mistake_that_is_no_longer_rejected_is_a_regression(tmp_path):
    base = measured(tmp_path, "base", [claim_record(wrong="a mistake", part=FAILING)])
    new = measured(tmp_path, "new", [claim_record(wrong="a mistake")])
    assert words(compare.compare(base, new)) == [("started to fail", "C1")]


def test_a_false_alarm_is_a_regression(tmp_path):
    def variations(**options):
        return [VariationRecord(framework="torch", seed=0, status="ok", **options)]

    base, new = measured(tmp_path, "base", variations()), measured(tmp_path, "new", variations(failures={"a": "b"}))
    assert words(compare.compare(base, new)) == [("started to fail", "torch")]


def test_what_came_and_what_went_is_said(tmp_path):
    base, new = measured(tmp_path, "base", [claim_record()]), measured(tmp_path, "new", [agreement_record([1.0])])
    assert words(compare.compare(base, new)) == [("vanished", "C1"), ("added", "hvp")]


def test_a_time_that_is_now_wrong_is_a_regression(tmp_path):
    base = measured(tmp_path, "base", timed(2.0, 0))
    new = measured(tmp_path, "new", [*timed(2.0, 1)[:6], cost_record("fgm", status="wrong", reason="off")])
    assert ("started to fail", "fgm") in words(compare.compare(base, new))


def benchmarks(tmp_path, name, medians, cpu="a CPU"):
    each = [
        {"fullname": key, "stats": {"q1": 0.99 * value, "median": value, "q3": 1.01 * value}}
        for key, value in medians.items()
    ]
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps({"machine_info": {"cpu": {"brand_raw": cpu}, "machine": "x"}, "benchmarks": each}))
    return compare.results(str(path))


def test_json_of_pytest_benchmark_is_compared(tmp_path):
    base = benchmarks(tmp_path, "base", {"b x": 0.010, "b y": 0.010, "b z": 0.01})
    new = benchmarks(tmp_path, "new", {"b x": 0.0101, "b y": 0.013})
    assert words(compare.compare(base, new)) == [("vanished", "z"), ("slower, not confirmed", "y")]
    elsewhere = benchmarks(tmp_path, "elsewhere", {"b x": 1.0, "b y": 1.0, "b z": 1.0}, cpu="another")
    assert compare.compare(base, elsewhere) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [("text.json", "no JSON"), ("other.json", '{"a": 1}'), ("list.json", "[]"), ("bytes.json", b"\xff")],
)
def test_a_file_of_something_else_is_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(compare.Unreadable, match="pytest-benchmark"):
        compare.results(str(path))


def test_what_is_no_results_is_refused(tmp_path):
    with pytest.raises(compare.Unreadable, match="no record in it"):
        compare.results(str(tmp_path))
    with pytest.raises(compare.Unreadable, match="no folder, no file, and no commit"):
        compare.results("no-such-thing")


def test_damage_is_said_in_both_forms(tmp_path):
    store(tmp_path / "base", [claim_record()], ending='{"kind": "claim", "cla')
    base, new = compare.results(str(tmp_path / "base")), measured(tmp_path, "new", [claim_record(part=FAILING)])
    found = compare.compare(base, new)
    told = json.loads(compare.json_text(base, new, found))
    assert told["regressions"] == 1 and told["changes"][0]["regression"] and "not a record" in told["problems"][0]
    text = compare.markdown_text(base, new, found)
    assert "1 regressions" in text and "started to fail" in text and "not a record" in text


def test_markdown_stays_within_its_limit(tmp_path):
    base = measured(tmp_path, "base", [claim_record(case=f"case {number}") for number in range(300)])
    new = measured(tmp_path, "new", [claim_record(case=f"case {number}", part=FAILING) for number in range(300)])
    found = compare.compare(base, new)
    text = compare.markdown_text(base, new, found, limit=5000)
    assert len(text.encode()) <= 5000 and "more are in the JSON" in text


def test_records_of_another_schema_are_refused(tmp_path):
    path = store(tmp_path, [claim_record()])
    path.write_text('{"kind":"store","version":99}\n' + path.read_text())
    with pytest.raises(compare.Unreadable, match="schema 99"):
        compare.results(str(tmp_path))
