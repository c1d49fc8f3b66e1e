"""Two sets of results: what the same code measured twice is no change; what fails, is slower, worse or gone is one."""

import json
import math
from collections import Counter

import numpy as np
import pytest

from bench.records.schema import (
    AtlasRecord,
    ConformanceRecord,
    Environment,
    PrecisionRecord,
    TrainingRecord,
    VariationRecord,
)
from bench.report import compare
from bench.report.compare import changes, quantities
from equivalence.precision import DEFAULT
from tests.report.made import (
    agreement_record,
    call_record,
    claim_record,
    cold_record,
    cost_record,
    cost_records,
    power_law,
    store,
)

FAILING = power_law(order=1.0)


def measured(tmp_path, name, records, machine="here"):
    out = tmp_path / name
    store(out, records)
    if machine != "here":
        (out / "here").rename(out / machine)
    return compare.results(str(out))


def timed(ratio, seed, spread=0.01, blocks=6, plain=1.0):
    """Blocks around a ratio, beside a plain step that differs from itself and from block to block by as much."""
    rng = np.random.default_rng(seed)
    own = [
        cost_record("plain", 1.0, block, base=[plain * mood] * 4, steps=[plain * mood * again] * 4)
        for block, (mood, again) in enumerate(np.exp(spread * rng.standard_normal((blocks, 2))))
    ]
    return [*own, *cost_records("fgm", ratio * np.exp(spread * rng.standard_normal(blocks)))]


def words(found):
    return [(change.change, change.what.split()[1]) for change in found.changes]


def test_the_same_code_measured_twice_is_no_change(tmp_path):
    for seed in range(20):
        base, new = (measured(tmp_path, f"{side}{seed}", timed(2.0, seed + 100 * side)) for side in (1, 2))
        found = compare.compare(base, new)
        assert found.changes == [] and found.passes


def test_slower_by_a_seventh_is_a_regression_when_two_more_runs_find_it(tmp_path):
    sides = [measured(tmp_path, str(number), timed(2.0 if number == 0 else 2.3, number)) for number in range(4)]
    [once] = compare.compare(sides[0], sides[1]).changes
    assert (once.change, once.regression) == ("slower, not confirmed", False)
    [found] = compare.compare(sides[0], sides[1], [(sides[0], each) for each in sides[2:]]).changes
    assert (found.change, found.regression) == ("slower", True)
    assert found.difference.startswith("× 1.1") and found.machine == "here"


def test_slower_once_and_not_again_is_nothing(tmp_path):
    sides = [measured(tmp_path, str(number), timed(ratio, number)) for number, ratio in enumerate([2.0, 2.3, 2.0, 2.0])]
    assert compare.compare(sides[0], sides[1], [(sides[0], each) for each in sides[2:]]).changes == []


def test_faster_is_said_and_no_regression(tmp_path):
    base, new = (measured(tmp_path, str(ratio), timed(ratio, 0)) for ratio in (2.3, 2.0))
    found = compare.compare(base, new)
    assert words(found) == [("faster", "fgm")] and found.passes


@pytest.mark.parametrize(("spread", "power"), [(0.01, 0.99), (0.02, 0.9)])
def test_a_tenth_of_a_plain_step_is_seen(tmp_path, spread, power):
    """Of six blocks that differ by 1 % a tenth is seen always, by 2 % nine times in ten; no change never."""
    seen, spread = {0.0: 0, 0.1: 0}, spread / 2**0.5  # of the block and of the step in it, each
    for seed in range(40):
        for change in seen:
            rows = [timed(2.0, 2 * seed, spread), timed(2.0, 2 * seed + 1, spread, plain=1 + change)]
            base, new = (measured(tmp_path, f"{spread} {change} {seed} {side}", rows[side]) for side in (0, 1))
            seen[change] += ("slower, not confirmed", "plain") in words(compare.compare(base, new))
    assert seen[0.1] >= power * 40 and seen[0.0] == 0


def test_times_of_other_machines_are_not_compared_and_no_pass(tmp_path):
    base = measured(tmp_path, "base", timed(2.0, 0))
    new = measured(tmp_path, "new", timed(3.0, 1), machine="elsewhere")
    found = compare.compare(base, new)
    assert found.changes == [] and not found.passes
    assert "NOT compared: 1 cost of a method, of another machine; NOT compared: 1 plain step" in found.describe()
    assert compare.compare(base, new, times=False).passes, "who says that times need not be compared has a pass"


def at_speed(rate):
    return Environment(
        id=f"{rate}", machine="here", cpu="a CPU", cores=2, memory_gb=8, system="Linux", python="3.12", packages={},
        commit="", dirty=False, product_gflops=rate,
    )  # fmt: skip


@pytest.mark.parametrize(("rate", "compared"), [(100.0, True), (120.0, True), (177.0, False), (None, True)])
def test_machines_of_the_same_name_and_another_speed_are_not_the_same(tmp_path, rate, compared):
    base = measured(tmp_path, "base", [at_speed(100.0), *timed(2.0, 0)])
    new = measured(tmp_path, "new", [at_speed(rate), *timed(3.0, 1)])
    found = compare.compare(base, new)
    assert bool(found.changes) == compared and not found.compared["cost of a method"] ^ compared
    for text in (compare.markdown_text(base, new, found), compare.json_text(base, new, found)):
        assert ("of another machine: a matrix product ran at 100 GFLOP/s and at 177" in text) != compared


def test_what_held_and_does_not_is_a_regression_on_any_machine(tmp_path):
    base = measured(tmp_path, "base", [claim_record(), agreement_record([1.0]), call_record([1.0])])
    failing = [claim_record(part=FAILING), agreement_record([99.0]), call_record([99.0])]
    new = measured(tmp_path, "new", failing, machine="elsewhere")
    found = words(compare.compare(base, new))
    assert found[:3] == [("started to fail", name) for name in ("C1", "hvp", "hvp")]
    assert words(compare.compare(new, base))[:3] == [("holds again", name) for name in ("C1", "hvp", "hvp")]


def test_a_mistake_that_is_no_longer_rejected_is_a_regression(tmp_path):
    base = measured(tmp_path, "base", [claim_record(wrong="a mistake", part=FAILING)])
    new = measured(tmp_path, "new", [claim_record(wrong="a mistake")])
    assert words(compare.compare(base, new)) == [("started to fail", "C1")]


def test_a_false_alarm_is_a_regression(tmp_path):
    def variations(**options):
        return [VariationRecord(framework="torch", seed=0, status="ok", **options)]

    base, new = measured(tmp_path, "base", variations()), measured(tmp_path, "new", variations(failures={"a": "b"}))
    assert words(compare.compare(base, new)) == [("started to fail", "torch")]


def test_a_derivative_that_turned_wrong_with_a_new_version_is_a_regression(tmp_path):
    def atlas(word, version):
        rows = {"RR": {"word": "right"}, "FF": {"word": word}}
        facts = {"framework": "torch", "operation": "layer_norm", "family": "normalisations", "mode": "eager"}
        return [AtlasRecord(**facts, version=version, status="ok", rows=rows)]

    base, new = measured(tmp_path, "base", atlas("right", "2.12")), measured(tmp_path, "new", atlas("wrong", "2.13"))
    assert words(compare.compare(base, new)) == [("started to fail", "layer_norm")]
    assert words(compare.compare(new, base)) == [("holds again", "layer_norm")]


def test_a_word_that_is_contradicted_and_a_direction_that_is_lost_are_regressions(tmp_path):
    def records(contradiction, cosine):
        package = {"package": "p", "function": "f", "method": "fgm", "compared": "l2", "word": "right", "said": "so"}
        half = {"case": "digits-mlp", "dtype": "bfloat16", "methods": {DEFAULT: {"cosines": [cosine]}}}
        common = {"framework": "torch", "status": "ok"}
        return [
            ConformanceRecord(**common, **package, version="1", contradiction=contradiction),
            PrecisionRecord(**common, **half),
        ]

    base = measured(tmp_path, "base", records("", 0.999))
    new = measured(tmp_path, "new", records("nothing holds", 0.1))
    found = words(compare.compare(base, new))
    assert found == [("started to fail", "p"), ("started to fail", "torch")] and compare.compare(base, base).passes


def test_what_vanished_is_no_pass_unless_it_is_allowed(tmp_path):
    base, new = measured(tmp_path, "base", [claim_record()]), measured(tmp_path, "new", [agreement_record([1.0])])
    found = compare.compare(base, new)
    assert words(found) == [("vanished", "C1"), ("added", "hvp")] and not found.passes
    allowed = compare.compare(base, new, allowed=["claim C1 *"])
    assert words(allowed) == [("added", "hvp")] and allowed.passes and "1 were allowed" in allowed.describe()
    assert not compare.compare(base, new, allowed=["claim C2 *"]).passes


def test_a_framework_that_vanished_is_no_pass(tmp_path):
    both = [claim_record(), claim_record(framework="jax"), *timed(2.0, 0), *cost_records("fgm", [2.0], framework="jax")]
    base = measured(tmp_path, "base", both)
    new = measured(tmp_path, "new", [record for record in both if record.framework != "jax"])
    found = compare.compare(base, new)
    assert not found.passes and {change.change for change in found.changes} == {"vanished"}
    assert found.not_compared == {f"cost of a method, measured in {base.name} alone": 1}


def test_a_framework_that_the_code_here_does_not_know_is_no_pass(tmp_path):
    """Its records are damaged lines, which are told even where there is nothing else."""
    store(tmp_path / "base", [])
    record = claim_record().model_dump_json().replace('"torch"', '"mxnet"')
    (tmp_path / "base" / "here" / "records.jsonl").write_text(f"{record}\n")
    found = compare.compare(compare.results(str(tmp_path / "base")), compare.Results("new"))
    assert [change.change for change in found.changes] == ["damaged"] and not found.passes
    assert "mxnet" in found.changes[0].after


def test_a_time_that_is_now_wrong_is_a_regression(tmp_path):
    base = measured(tmp_path, "base", timed(2.0, 0))
    new = measured(tmp_path, "new", [*timed(2.0, 1)[:6], cost_record("fgm", status="wrong", reason="off")])
    assert ("started to fail", "fgm") in words(compare.compare(base, new))


def trained(accuracy, nll=1.0, spread=0.01, seeds=5):
    moods = spread * np.random.default_rng(0).standard_normal(seeds)
    run = {"framework": "torch", "dataset": "digits", "regime": "fgm", "strength": 1.0, "part": "test", "status": "ok"}
    return [
        TrainingRecord(**run, seed=seed, accuracy=accuracy + mood, nll=nll - mood) for seed, mood in enumerate(moods)
    ]


def test_worse_training_is_a_regression_on_any_machine(tmp_path):
    base = measured(tmp_path, "base", trained(0.9))
    assert compare.compare(base, measured(tmp_path, "same", trained(0.899), "elsewhere")).passes
    guessing = compare.compare(base, measured(tmp_path, "guessing", trained(0.1, 2.3), "elsewhere"))
    assert [change.change for change in guessing.changes] == ["trains worse"] * 2
    assert "-0.800" in guessing.changes[0].difference
    point = compare.compare(base, measured(tmp_path, "a point", trained(0.89)))
    assert words(point) == [("trains worse", "digits")], "seeds are pairs, so that a point of all of them is seen"
    assert [c.change for c in compare.compare(measured(tmp_path, "low", trained(0.8)), base).changes] == [
        "trains better"
    ]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"memory": 540.0}, "more memory"),
        ({"compiled": 10.0}, "compiles longer"),
        ({"counted": 3.2}, "more work"),
        ({"memory": 425.0, "compiled": 2.2}, None),
    ],
)
def test_memory_compilation_and_work_are_compared(tmp_path, change, word):
    base = measured(tmp_path, "base", [cold_record(counted=3.0)])
    found = compare.compare(base, measured(tmp_path, "new", [cold_record(**({"counted": 3.0} | change))]))
    assert [each.change for each in found.changes] == [word] * bool(word) and found.passes == (word is None)


def test_errors_that_grew_fourfold_are_a_regression_though_all_hold(tmp_path):
    base = measured(tmp_path, "base", [agreement_record([4.0]), call_record([4.0])])
    found = compare.compare(base, measured(tmp_path, "new", [agreement_record([16.0]), call_record([16.0])]))
    assert [change.change for change in found.changes] == ["less accurate"] * 2 and not found.passes
    assert compare.compare(base, measured(tmp_path, "twice", [agreement_record([8.0]), call_record([8.0])])).passes
    small = measured(tmp_path, "small", [agreement_record([0.01]), call_record([0.01])])
    assert compare.compare(small, measured(tmp_path, "unit", [agreement_record([0.9]), call_record([0.9])])).passes


def test_rounds_that_were_timed_in_turns_are_pairs(tmp_path):
    """The machine becomes slower by half from round to round; a tenth between the sides is seen all the same."""
    moods = np.exp(np.linspace(0, 0.4, 6))

    def rounds(name, scale):
        for number, mood in enumerate(moods):
            step = mood * scale * (1 + 1e-3 * number)
            store(tmp_path / f"{name}{number}", [cost_record("plain", 1.0, 0, base=[step] * 4, steps=[step] * 4)])
        return compare.of_rounds([tmp_path / f"{name}{number}" for number in range(6)], name)

    base, same, slower = rounds("base", 1.0), rounds("same", 1.0), rounds("slower", 1.1)
    assert words(compare.compare(base, slower, in_turns=True)) == [("slower, not confirmed", "plain")]
    assert compare.compare(base, same, in_turns=True).changes == []
    assert compare.compare(base, slower).changes == [], "who does not know that they are pairs cannot tell"
    confirmed = compare.compare(base, slower, [(base, slower)] * 2, in_turns=True)
    assert confirmed.regressions == 1 and not confirmed.passes


@pytest.mark.parametrize(("spread", "power"), [(0.03, 0.99), (0.06, 0.65)])
def test_in_turns_a_method_that_is_a_seventh_slower_is_seen(tmp_path, spread, power):
    """Three sittings of six rounds whose ratios differ by so much, as on a shared machine; no change never."""
    rng, seen = np.random.default_rng(4), Counter()

    def sitting(change):
        pair = []
        for scale in (1.0, 1 + change):
            own = {block: float(spread / 2 * rng.standard_normal()) for block in range(6)}
            ratios = {block: math.log(2 * scale) + spread * rng.standard_normal() for block in range(6)}
            noise = max(map(abs, own.values()))
            pair.append(quantities.Quantity(quantities.COST, ratios, "", noise, tuple(own.values())))
        return tuple(pair)

    for change in (0.0, 0.15):
        for _ in range(200):
            first, *fresh = (sitting(change) for _ in range(1 + changes.FRESH))
            seen[change] += all(changes.judge_in_turns(first, fresh[:many])[0] for many in range(1 + changes.FRESH))
    assert seen[0.15] >= power * 200 and not seen[0.0]


def test_the_sitting_that_suspects_is_no_part_of_what_decides(tmp_path):
    suspicious = [quantities.Quantity(quantities.COST, {0: x, 1: x + 0.01}, "", 0.01, (0.0, 0.01)) for x in (0.0, 0.5)]
    calm = [quantities.Quantity(quantities.COST, {0: 0.0, 1: 0.01}, "", 0.01, (0.0, 0.01))] * 2
    assert changes.judge_in_turns(tuple(suspicious), [])[0]
    assert not changes.judge_in_turns(tuple(suspicious), [tuple(calm)] * 2)[0]


def test_a_busy_machine_is_the_same_machine_in_turns(tmp_path):
    """What others do meanwhile slows a product and disturbs every block; it is no reason to look at nothing."""

    def rounds(name, scale, rate):
        for number in range(6):
            step = scale * (1 + 1e-3 * number)
            block = cost_record("plain", 1.0, 0, base=[step] * 4, steps=[step] * 4, foreign=1.5)
            store(tmp_path / f"{name}{number}", [at_speed(rate), block])
        return compare.of_rounds([tmp_path / f"{name}{number}" for number in range(6)], name)

    base, new = rounds("base", 1.0, 100.0), rounds("new", 1.15, 50.0)
    found = compare.compare(base, new, in_turns=True)
    assert words(found) == [("slower, not confirmed", "plain")] and not found.not_compared


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
    found = compare.compare(base, elsewhere)
    assert found.changes == [] and not found.passes


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


def test_damage_is_said_in_both_forms_and_no_pass(tmp_path):
    store(tmp_path / "new", [claim_record()], ending='{"kind": "claim", "cla')
    base, new = measured(tmp_path, "base", [claim_record()]), compare.results(str(tmp_path / "new"))
    found = compare.compare(base, new)
    told = json.loads(compare.json_text(base, new, found))
    assert told["regressions"] == 1 and not told["passes"] and "not a record" in told["changes"][0]["after"]
    text = compare.markdown_text(base, new, found)
    assert "does not pass" in text and "1 regressions" in text and "not a record" in text


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


@pytest.mark.parametrize("paired", [False, True])
def test_intervals_of_differences_cover_the_truth(paired):
    """Of 2,000 simulated pairs of sides 95 % of the intervals hold the true difference."""
    rng, inside = np.random.default_rng(0), 0
    for _ in range(2000):
        moods = rng.normal(0, 0.5 if paired else 0, 6)
        a, b = ({key: float(x) for key, x in enumerate(rng.normal(moods + shift, 0.02))} for shift in (0.0, 0.1))
        old, new = (compare.Quantity(compare.quantities.PLAIN, each, "") for each in (a, b))
        found = compare.quantities.difference(old, new, paired)
        inside += found.low <= 0.1 <= found.high
    assert math.isclose(inside / 2000, 0.95, abs_tol=0.017)  # 3.5 standard deviations of the share
