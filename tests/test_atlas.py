"""The atlas: its judge, its words on planted operations, the programs that it prints, and what is known of a layer."""

import importlib
import math
import subprocess
import sys

import numpy as np
import pytest

from bench.proofs import atlas, atlas_script
from bench.records.schema import AtlasRecord
from bench.report.tables.atlas import kinks_table, operations_table, summary_table
from equivalence.atlas import entries, judge
from equivalence.atlas.compositions import COMPOSITIONS, PENALTY, VALUE, order
from equivalence.atlas.entry import Entry
from equivalence.atlas.measure import measure
from impls.frameworks import FRAMEWORKS

X = np.array([0.3, -0.7, 1.1])
V, U, S = np.random.default_rng(0).uniform(-1, 1, size=(3, 3))


def cubes(points):
    return (points**3).sum(1)


def test_the_judge_knows_derivatives_of_every_order():
    exact = (3 * X**2 @ V, (6 * X * V) @ U, 6 * (V * U) @ S)
    for count, expected in enumerate(exact, start=1):
        found = judge.derivative(cubes, X, [V, U, S][:count])
        assert abs(found.value - expected) <= 1e-9 + 30 * found.error
    np.testing.assert_allclose(judge.gradient(cubes, X), 3 * X**2, rtol=1e-9)


def test_the_judge_chooses_steps_that_do_not_cross_a_kink():
    found = judge.derivative(lambda points: np.abs(points).sum(1) ** 2, np.array([0.01, 1.0]), [np.ones(2), np.ones(2)])
    assert abs(found.value - 8) <= 1e-6 and found.error < 1e-6


def test_the_judge_trusts_no_agreement_by_chance():
    """Of a small number beside a large constant, differences are mostly rounding."""
    for x in np.random.default_rng(1).uniform(-1, 1, size=(300, 3)):
        found = judge.derivative(lambda points: 1 + 1e-4 * cubes(points), x, [V, U, S])
        assert abs(found.value - 6e-4 * (V * U) @ S) <= judge.TRUST * found.error


def test_the_judge_says_nothing_of_what_it_cannot_know():
    noise = np.random.default_rng(0)
    found = judge.derivative(lambda points: cubes(points) + 1e-3 * noise.normal(size=len(points)), X, [V, U, S])
    assert judge.word(1.0, found, 1.0, "float64")[0] == judge.UNDECIDED
    assert judge.word(1.0, judge.Estimate(math.nan, 0.0), 1.0, "float64")[0] == judge.UNDECIDED


@pytest.mark.parametrize(
    ("found", "word"), [(2.0, judge.RIGHT), (2.0 + 1e-9, judge.RIGHT), (2.01, judge.WRONG), (math.nan, judge.WRONG)]
)
def test_a_number_has_a_word(found, word):
    assert judge.word(found, judge.Estimate(2.0, 1e-12), 2.0, "float64")[0] == word


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_framework_has_entries_whose_inputs_are_their_own(framework):
    known = entries(framework)
    assert len(known) >= 150
    for name, entry in known.items():
        arrays = entry.arrays()
        assert entry.name == name and entry.call and arrays, name
        assert all(np.isfinite(array).all() for array in arrays), name
        assert 2 <= sum(array.size for array in arrays) <= 90, name
        for kink in entry.kinks.values():
            assert all(np.isfinite(array).all() for array in entry.arrays(kink)), name


def test_compositions_say_their_order():
    assert [order(name) for name in (VALUE, "R", "FR", PENALTY, "RFF")] == [0, 1, 2, 2, 3]
    assert all(set(name) <= {"R", "F"} for name in COMPOSITIONS if name not in (VALUE, PENALTY))


# Operations that are planted: x³, whose second derivative, or first, is not what its value says.
PLANTED = {
    "torch": {
        "setup": "class Cube(torch.autograd.Function):\n"
        "  forward = staticmethod(lambda x: x**3)\n"
        "  setup_context = staticmethod(lambda ctx, inputs, output: ctx.save_for_backward(*inputs))\n"
        "  backward = staticmethod(lambda ctx, g: RULE)\n"
        "cube = Cube.apply",
        "x": "ctx.saved_tensors[0]",
        "fixed": "ctx.saved_tensors[0].detach()",
        "raising": "ctx.saved_tensors[0] + F.hardsigmoid(ctx.saved_tensors[0]).sum() * 0",
    },
    "jax": {
        "setup": "cube = jax.custom_vjp(lambda x: x**3)\ncube.defvjp(lambda x: (x**3, x), lambda x, g: (RULE,))",
        "x": "x",
        "fixed": "lax.stop_gradient(x)",
        "raising": "jax.pure_callback(lambda a: a, x, x)",
    },
    "tensorflow": {
        "setup": "cube = tf.custom_gradient(lambda x: (x**3, lambda g: RULE))",
        "x": "x",
        "fixed": "tf.stop_gradient(x)",
        "raising": "tf.raw_ops.PreventGradient(input=x)",
    },
}
PLANTED["torch"]["raising"] = "once(ctx.saved_tensors[0])"
ONCE = (
    "\nclass Once(torch.autograd.Function):\n"
    "  forward = staticmethod(lambda x: x * 1)\n"
    "  setup_context = staticmethod(lambda ctx, inputs, output: None)\n"
    "  backward = staticmethod(lambda ctx, g: 1 / 0)\n"
    "once = Once.apply"
)
RULES = {  # what is planted: (the rule, the word of the second derivative in reverse mode)
    "right": ("g * 3 * {x} ** 2", judge.RIGHT),
    "a part is missing": ("g * 3 * {x} * {fixed}", judge.WRONG),
    "all of it is missing": ("g * 3 * {fixed} ** 2", judge.ZERO),
    "it refuses": ("g * 3 * {raising} ** 2", judge.RAISES),
}


def planted(framework, rule, **options):
    parts = PLANTED[framework]
    text = rule.format(**parts)
    setup = parts["setup"].replace("RULE", text) + (ONCE if framework == "torch" else "")
    return Entry("cube", "custom", "cube(x)", {"x": "np.array([0.3, -0.7, 1.1])"}, setup, **options)


@pytest.fixture(scope="module")
def transforms(framework, bridge):
    return importlib.import_module(f"equivalence.atlas.{framework}.transforms")


@pytest.mark.parametrize("name", RULES)
def test_every_word_is_said_of_a_planted_operation(name, framework, transforms):
    rule, word = RULES[name]
    for hand in ("", "x**3"):  # from the framework's own values, and from those by hand
        found = measure(planted(framework, rule, hand=hand), transforms, {"eager": ["R", "RR"]})["eager"]
        assert (found["R"]["word"], found["RR"]["word"]) == (judge.RIGHT, word), found


def test_what_is_documented_is_not_raised_upon(framework, transforms):
    entry = planted(framework, RULES["it refuses"][0], documented="said so")
    assert measure(entry, transforms, {"eager": ["RR"]})["eager"]["RR"]["word"] == judge.NONE


def test_a_wrong_first_derivative_is_seen(framework, transforms):
    found = measure(planted(framework, "g * 2 * {x} ** 2"), transforms, {"eager": ["R", "RR"]})["eager"]
    assert {row["word"] for row in found.values()} == {judge.WRONG}
    assert found["R"]["off"] > 0.1 and abs(found["R"]["found"] / found["R"]["expected"] - 2 / 3) < 0.2


def test_a_wrong_value_by_hand_is_seen(framework, transforms):
    found = measure(planted(framework, RULES["right"][0], hand="x**3 + 1"), transforms, {"eager": [VALUE]})
    assert found["eager"][VALUE]["word"] == judge.WRONG


KNOWN = {  # reports that came before the atlas
    "torch": [("F.layer_norm", "FF", "eager"), ("torch.linalg.slogdet", "FF", "eager")],
    "jax": [],
    "tensorflow": [("keras.layers.LayerNormalization", "RR", "eager")],
}


@pytest.mark.slow
def test_known_reports_are_found_and_their_programs_show_them(framework, transforms):
    for name, composition, mode in KNOWN[framework]:
        entry = entries(framework)[name]
        row = measure(entry, transforms, {mode: ["R", composition]})[mode]
        assert row["R"]["word"] == judge.RIGHT and row[composition]["word"] in judge.HURTS
        found, expected = run(atlas_script.script(framework, name, composition, mode))
        assert abs(found - expected) > 1e-3 * abs(expected)


@pytest.mark.slow
def test_a_program_shows_that_what_is_right_is_right(framework):
    name = {"torch": "torch.tanh", "jax": "jnp.tanh", "tensorflow": "tf.nn.tanh"}[framework]
    found, expected = run(atlas_script.script(framework, name, "RRR", "eager"))
    assert abs(found - expected) < 1e-4 * abs(expected)


def run(program):
    """What a program prints: the derivative as the framework has it, and by differences."""
    assert len(program.splitlines()) < 15
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *_, found, _, expected = done.stdout.split()
    return float(found), float(expected)


def record(operation="F.layer_norm", mode="eager", version="torch 2.13.0", kinks=None, **words):
    rows = {name: {"word": word, "off": 0.25} for name, word in words.items()}
    return AtlasRecord(
        operation=operation, family="normalisations", framework="torch", mode=mode, version=version, status="ok",
        rows=rows, kinks=kinks or {},
    )  # fmt: skip


def test_a_layer_is_looked_up_by_any_of_its_names():
    known = [record(RR="right", FF="wrong"), record("torch.tanh", RR="right")]
    for name in ("F.layer_norm", "nn.LayerNorm", "LayerNorm", "torch.nn.modules.normalization.LayerNorm"):
        [found] = atlas.lookup("torch", name, known)
        assert found.operation == "F.layer_norm" and atlas.wrong_in(found) == ["FF"]
    assert atlas.lookup("torch", "nn.Identity", known) == [] == atlas.lookup("jax", "LayerNorm", known)


def test_news_are_what_is_wrong_and_was_not():
    before = [record(RR="right", FF="wrong")]
    assert atlas.news([record(RR="right", FF="wrong")], before) == []
    assert atlas.news([record(RR="wrong", FF="wrong")], before) == ["torch eager: F.layer_norm: RR wrong"]
    assert len(atlas.news([record("torch.tanh", FF="silent zero")], before)) == 1


def test_what_hurts_most_comes_first():
    found = [
        record("torch.right", RR="right"),
        record("torch.refused", RR="raises"),
        record("torch.third", RRR="wrong"),
        record("torch.first", R="wrong"),
        record("torch.second", RR="wrong"),
        record("torch.second", RR="right", mode="vmap"),
        record("torch.second", "eager", "torch 2.7.1", RR="right"),
    ]
    table = operations_table(found)
    assert list(table["operation"]) == ["torch.first", "torch.second", "torch.third"]
    assert table["RR"][1] == "wrong, 25% (eager)" and table["other versions"][1] == "torch 2.7.1: not wrong"
    assert list(operations_table(found, words=("raises",))["operation"]) == ["torch.refused"]
    counts = summary_table(found).set_index("version")
    assert (counts["wrong"]["torch 2.13.0"], counts["rows"]["torch 2.7.1"]) == ("3", "1")


def test_a_kink_is_told_by_both_modes():
    sides = {"below": 0.0, "above": 1.0}
    kinks = {
        "good": {"R": 0.0, "F": 0.0, "RR": 0.0, **sides},
        "bad": {"R": math.nan, "F": 0.0, "RR": 0.0, **sides},
        "two": {"R": 0.0, "F": 0.5, "RR": 0.0, **sides},
        "one": {"R": "raises RuntimeError", "F": 0.5, "RR": 0.0, **sides},
    }
    table = kinks_table([record(kinks=kinks)]).set_index("at")
    assert list(table["verdict"]) == ["between the sides", "not between the sides", "modes differ", "one mode raises"]
