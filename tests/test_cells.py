"""The matrix of what is timed, and that its steps compute what their names say."""

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import bench.costs.time_block
import impls
from bench.costs import timing
from bench.costs.cells import (
    LOOP_MODES,
    LOOPS,
    METHODS,
    MODES,
    PRODUCTS,
    QUICK_LOOP_MODE,
    QUICK_MODE,
    SLOWED,
    TIMED,
    Cell,
    job,
    plan,
)
from bench.costs.expected_steps import Expected, write
from bench.costs.prepare import prepare
from bench.costs.workloads import ON_REQUEST, WORKLOADS, build, one_draw
from bench.places import ROOT
from equivalence import cases
from equivalence.judge import AGREEMENT_UNITS
from tests.quick import mostly_slow

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
SMALL = ("tanh-mlp", "reviews-text")  # the second's inputs depend on parameters
WAYS = (  # to the same number
    {"gradient_penalty", "gradient_penalty forward_over_reverse", "gradient_penalty finite_difference"},
    {"laplacian", "laplacian forward"},
    {"vat", "vat exact"},
)
TEXT = ("perturb_table", "perturb_output", "normalize_embedding")
AGREEING = [
    (name, case, dtype)
    for name, method in METHODS.items()
    for case in (SMALL if method.quick else SMALL[1:] if name in TEXT else SMALL[:1])
    for dtype in (("float32", "float64") if method.quick else ("float32",))
]
QUICKLY = [(name, SMALL[0], "float32") for name, method in METHODS.items() if method.quick]
QUICKLY += [(name, SMALL[1], "float32") for name in ("fgm", "vat", *TEXT)]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """By case: the case as it is timed, and what the oracle expects of every method."""
    found = {}
    for name in SMALL:
        case, path = one_draw(cases.REGISTRY[name]()), tmp_path_factory.mktemp("expected") / f"{name}.npz"
        write(case, TIMED, path)
        found[name] = case, Expected(path)
    return found


def test_plan_covers_the_matrix_once():
    cells = plan(impls.FRAMEWORKS)
    loops = len(LOOPS) * sum(map(len, LOOP_MODES.values())) - 2  # torch.compile refuses the gradient penalty
    workloads = WORKLOADS.keys() - ON_REQUEST
    unasked = [PRODUCTS, *(name for name, method in METHODS.items() if not method.swept)]
    assert len(set(cells)) == len(cells) == len(unasked) * len(workloads) * sum(map(len, MODES.values())) + loops
    assert {cell.workload for cell in cells} == workloads < WORKLOADS.keys()
    assert ("jax", "eager") not in {(cell.framework, cell.mode) for cell in cells}
    larger = plan(["torch"], ["adversarial_training"], ["digits-mlp batch=512", "digits-cnn"])
    assert {cell.workload for cell in larger} == {"digits-mlp batch=512"}


def test_quick_is_a_subset_with_one_workload_and_one_mode_a_framework():
    quick = plan(impls.FRAMEWORKS, quick=True)
    assert set(quick) < set(plan(impls.FRAMEWORKS))
    assert {cell.workload for cell in quick} == {"digits-mlp"}
    assert {(cell.framework, cell.mode) for cell in quick} == {*QUICK_MODE.items(), *QUICK_LOOP_MODE.items()}
    assert {cell.method for cell in quick} == {PRODUCTS, *(name for name, method in TIMED.items() if method.quick)}


def test_what_is_named_is_planned():
    cells = plan(["jax"], ["vat", "plain"], ["reviews-text"], device="cuda", quick=True)
    assert [(cell.method, cell.workload, cell.device) for cell in cells] == [
        ("plain", "reviews-text", "cuda"),
        ("vat", "reviews-text", "cuda"),
    ]


@pytest.mark.parametrize("name", ON_REQUEST)
def test_a_large_workload_is_planned_where_it_is_named(name):
    assert {cell.workload for cell in plan(impls.FRAMEWORKS, workloads=[name])} == {name}


@pytest.mark.parametrize("names", [{"methods": ["deepfool"]}, {"workloads": ["mnist"]}, {"frameworks": ["theano"]}])
def test_an_unknown_name_is_an_error_that_says_what_there_is(names):
    with pytest.raises(ValueError, match="expected some of"):
        plan(**({"frameworks": impls.FRAMEWORKS} | names))


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_floors_are_the_sum_of_their_derivation(method):
    """Every number in the words is one term; "the four 8" names the cost of a backward pass through four."""
    terms = [int(word.rstrip(",;")) for word in method.derivation.split() if word.rstrip(",;").isdigit()]
    assert sum(terms) == method.passes.plus(method.each).nominal


def test_floors():
    assert {name: method.floor for name, method in METHODS.items() if method.quick} == {
        "plain": 1,
        "noise": 1,
        "consistency": 2,
        "fgm": Fraction(5, 3),
        "gradient_penalty": 2,
        "jacobian_penalty": 2,
        "laplacian": 4,
        "vat": Fraction(8, 3),
    }


def test_compilers_keep_files_where_a_command_line_finds_them():
    """PyTorch's compiler calls g++ with names that are not quoted."""
    planned = plan(["torch"], methods=["plain", "fgm"], workloads=["digits-mlp"], modes=["compiled"])
    made = timing.jobs(planned, {"digits-mlp": Path("e.npz")}, Path("c"), timing.How(blocks=2))
    folders = [value for job in made for value in job.arguments["environment"].values() if value.startswith("c/")]
    assert len(made) == 4 and folders and not any(" " in folder for folder in folders)


def test_a_job_numbers_its_methods():
    said = job("torch", "eager", "digits-mlp", ["plain", "fgm"], cores=[0], quick=True, expected="e.npz", folder="c")
    assert said["tasks"] == [[0, "plain"], [1, "fgm"]]


def test_methods_exist_in_the_contract(methods):
    assert all(hasattr(methods, method.usage.method) for method in METHODS.values())


def test_modes_exist_in_the_bridge(framework, bridge):
    assert set(MODES[framework]) <= set(bridge.MODES)
    assert QUICK_MODE[framework] in MODES[framework]
    assert QUICK_LOOP_MODE[framework] in LOOP_MODES[framework]


def test_an_exact_sum_takes_as_many_passes_as_the_case_says():
    digits, text = (one_draw(cases.REGISTRY[name]()) for name in ("digits-mlp", "reviews-text"))
    method = METHODS["jacobian_penalty exact"]
    assert method.least(digits).nominal == 3 * (1 + 10)
    assert method.least(text).nominal == 3 * (1 + 2)
    small = METHODS["laplacian exact"]
    assert small.least(cases.REGISTRY["tanh-mlp"]()).nominal == 6 + 4 * 6


def test_what_does_not_apply_says_why():
    """Methods of embeddings where there is none, and sums over more inputs than anybody trains with."""
    reasons = {
        name: {method.name for method in METHODS.values() if method.unsupported(build())}
        for name, build in WORKLOADS.items()
        if name not in ON_REQUEST
    }
    exact, embeddings = (
        {"laplacian exact", "laplacian exact forward"},
        {"perturb_table", "perturb_output", "normalize_embedding"},
    )
    assert reasons == {
        "digits-mlp": exact | embeddings,
        "digits-cnn": exact | embeddings,
        "reviews-text": exact,
        "bert-tiny": exact | {"weight_noise", "normalize_embedding", "spectral_norm", "lipschitz_bound"},
    }
    assert "784 inputs" in METHODS["laplacian exact"].unsupported(build("digits-mlp"))
    assert not METHODS["laplacian exact"].unsupported(cases.REGISTRY["tanh-mlp"]())


@pytest.mark.parametrize(("method", "name", "dtype"), mostly_slow(AGREEING, QUICKLY))
def test_a_step_agrees_with_the_oracle(framework, bridge, expected, method, name, dtype):
    case, want = expected[name]
    prepared = prepare(Cell(method, framework, QUICK_MODE[framework], name, dtype), case)
    assert want.units(method, prepared.numpy(prepared.run()), dtype) <= AGREEMENT_UNITS


@pytest.mark.parametrize("method", LOOPS)
def test_a_loop_agrees_with_the_oracle_and_then_stands_still(framework, bridge, expected, method):
    case, want = expected["tanh-mlp"]
    uncompiled = {"torch": "module eager", "jax": "optax jit", "tensorflow": "keras function"}[framework]
    prepared = prepare(Cell(method, framework, uncompiled, "tanh-mlp"), case)
    assert want.units(method, prepared.numpy(prepared.run()), "float32") <= AGREEMENT_UNITS
    before = prepared.loop.parameters()
    prepared.run()
    assert all(np.array_equal(before[name], value) for name, value in prepared.loop.parameters().items())


@pytest.mark.parametrize("method", METHODS)
def test_a_wrong_gradient_is_seen(expected, method):
    """1 in 1,000 of the largest entry, in one place; then NaN, which must not pass as small."""
    want = expected["reviews-text" if method in TEXT else "tanh-mlp"][1]
    value, gradient = (want.arrays[f"{method}/{part}"] for part in ("value", "gradient"))
    assert want.units(method, (value, gradient), "float32") == 0
    wrong = gradient.copy()
    wrong[3] += 1e-3 * np.abs(gradient).max()
    assert want.units(method, (value, wrong), "float32") > AGREEMENT_UNITS
    wrong[3] = np.nan
    assert np.isnan(want.units(method, (value, wrong), "float32"))
    assert want.units(method, (value[:-1], gradient), "float32") == np.inf


def test_methods_differ_by_more_than_the_limit(expected):
    """A step that forgot its regulariser, or took another's, must not agree."""
    want = expected["tanh-mlp"][1]
    others = [name for name, method in METHODS.items() if not (name in TEXT or method.swept)]
    for method in others:
        arrays = tuple(want.arrays[f"{method}/{part}"] for part in ("value", "gradient"))
        agree = {other for other in others if want.units(other, arrays, "float32") <= AGREEMENT_UNITS}
        assert method in agree <= next((ways for ways in WAYS if method in ways), {method})


def test_a_method_takes_one_draw_of_what_it_needs():
    case = one_draw(cases.REGISTRY["tanh-mlp"]())
    taken = {name: {key: array.shape for key, array in METHODS[name].taken(case).extra.items()} for name in METHODS}
    assert taken["plain"] == {}
    assert taken["noise"] == {"noise": (1, 4, 4)}
    assert taken["jacobian_penalty"] == {"class_probes": (1, 4, 3)}
    assert taken["vat"] == {"start": (4, 4)}
    assert taken["weight_noise"] == {f"noise {name}": (1, *array.shape) for name, array in case.params.items()}
    assert taken["spectral_norm"] == {"u 0.weight": (8,), "u 1.weight": (8,), "u 2.weight": (3,)}


def test_the_two_steps_take_turns(monkeypatch):
    monkeypatch.setattr(bench.costs.time_block, "SAMPLE_SECONDS", 0.0)  # one call a sample
    calls = []
    warming = 2 * bench.costs.time_block.WARM_UP
    for first, order in ((0, "ABBABAAB"), (1, "BAABABBA")):
        calls.clear()
        times = bench.costs.time_block.interleaved(lambda: calls.append("A"), lambda: calls.append("B"), 4, first)
        assert "".join(calls[warming:]) == order
        assert [len(one) for one in times] == [4, 4]


def test_a_slow_step_is_sampled_less_often(monkeypatch):
    monkeypatch.setattr(bench.costs.time_block, "SAMPLE_SECONDS", 0.0)
    monkeypatch.setattr(bench.costs.time_block, "LONGEST", 0.0)
    times = bench.costs.time_block.interleaved(lambda: "A", lambda: "B", 12)
    assert [len(one) for one in times] == [4, 4], "two quadruples, one of each order"


def test_a_step_slowed_by_a_tenth_takes_a_tenth_longer(monkeypatch):
    """On a clock that this test turns: 0.5 s for the step, 0.01 s for every look at the clock."""
    now = [0.0]

    def tick(seconds):
        now[0] += seconds
        return now[0]

    monkeypatch.setattr(bench.costs.time_block.time, "perf_counter", lambda: tick(0.01))
    began = now[0]
    bench.costs.time_block.slowed(lambda: tick(0.5))()
    assert now[0] - began == pytest.approx(0.55, abs=0.05)


@pytest.fixture(scope="module")
def falsified(tmp_path_factory):
    """What the oracle expects of the CNN, fgm's gradient falsified in one place: the step is wrong by this file."""
    path = tmp_path_factory.mktemp("expected") / "expected.npz"
    write(build("digits-cnn"), ["fgm"], path)
    arrays = dict(np.load(path))
    arrays["fgm/gradient"][3] += 1e-3 * np.abs(arrays["fgm/gradient"]).max()
    np.savez(path, **arrays)
    return path


@pytest.fixture
def work(framework, falsified, tmp_path):
    """The results of a worker's tasks."""

    def measure(module, *tasks):
        said = job(
            framework, QUICK_MODE[framework], "digits-cnn", tasks,
            cores=CORES, quick=True, expected=str(falsified), folder=str(tmp_path),
        )  # fmt: skip
        worker = subprocess.run(
            [sys.executable, "-m", module], cwd=ROOT, input=json.dumps(said), capture_output=True, text=True
        )
        assert worker.returncode == 0, worker.stderr
        events = [json.loads(line) for line in worker.stdout.splitlines() if line]
        return [event["result"] for event in events if event["event"] == "done"]

    return measure


@pytest.mark.slow
def test_a_block_times_what_is_right_and_refuses_what_is_wrong(work):
    plain, slowed, products, fgm = work("bench.costs.time_block", "plain", SLOWED, PRODUCTS, "fgm")
    for timed in (plain, slowed, products):
        assert timed["status"] == "ok"
        assert len(timed["steps"]) == len(timed["base"]) == bench.costs.time_block.SAMPLES["quick"]
        assert min(timed["steps"] + timed["base"]) > 0
    assert (fgm["status"], fgm["batch"], fgm["threads"]) == ("wrong", 128, len(CORES))
    assert not {"steps", "base"} & set(fgm)


@pytest.mark.slow
def test_a_cold_process_says_what_is_paid_and_refuses_what_is_wrong(work, framework):
    (plain,) = work("bench.costs.time_cold", "plain")
    assert plain["status"] == "ok" and min(plain["imported"], plain["step"]) > 0
    assert (plain["traced"] > 1e-3) == (QUICK_MODE[framework] != "eager"), "a trace takes milliseconds"
    assert 10 < plain["held"] < plain["memory"] < 20_000, "MiB"
    assert np.isnan(plain["device_memory"])
    (fgm,) = work("bench.costs.time_cold", "fgm")
    assert fgm["status"] == "wrong" and "step" not in fgm
