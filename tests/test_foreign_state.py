"""What other people's code does to its process: to what the process shares, to this program, to what a worker says."""

import builtins
import functools
import gc
import json
import random
import sys
import textwrap
import threading
import warnings

import numpy as np
import pytest
from typer.testing import CliRunner

from bench.commands.app import app
from equivalence import agreement, state, tasks
from equivalence.foreign import loading
from equivalence.foreign.guard import Guard
from equivalence.foreign.journal import Journal, counted
from equivalence.foreign.seal import Seal
from equivalence.foreign.state import put_back
from equivalence.mutant import mutants
from equivalence.protocol import Complaint
from equivalence.state import Kept
from impls.contract.types import Shape

RUNNER = CliRunner()


@pytest.fixture
def guard(bridge, methods, tmp_path):
    """The reference's function, and something that is done before it returns, watched."""
    journal = Journal(str(tmp_path))

    def watched(name, act=lambda: None):
        reference = getattr(methods, name)

        def function(*args, **options):
            result = reference(*args, **options)
            act()
            return result

        return Guard(name, function, reference, __file__, bridge, journal, 60.0, loading.Scope())

    return watched


@pytest.fixture
def changing(guard, p):
    """What is said of an FGM that does something to its process, called twice, all that it imports being there."""
    guard("fgm")(p.loss, p.x, radius=0.1)

    def said(act):
        watched, found = guard("fgm", act), []
        for _ in range(2):
            with pytest.raises(Complaint, match="fgm changed ") as caught:
                watched(p.loss, p.x, radius=0.1)
            found.append(str(caught.value))
        return found

    return said


def draw_numpy():
    np.random.standard_normal()  # noqa: NPY002


def seed_numpy():
    np.random.seed(0)  # noqa: NPY002


def replace_numpy():
    np.random.set_bit_generator(np.random.MT19937(0))


PROCESS = {
    "Python's, drawn from": (random.random, "Python's random generator"),
    "Python's, seeded": (lambda: random.seed(0), "Python's random generator"),
    "NumPy's, drawn from": (draw_numpy, "NumPy's global random generator"),
    "NumPy's, seeded": (seed_numpy, "NumPy's global random generator"),
    "NumPy's, replaced": (replace_numpy, "NumPy's global random generator"),
}


@pytest.mark.parametrize("what", PROCESS)
def test_a_generator_that_a_call_draws_from_or_seeds_is_named_each_time(what, changing):
    """The second call too, which meets no trace of the first one's seed."""
    act, name = PROCESS[what]
    assert all(f"fgm changed {name} (drawn from, or seeded)" in said for said in changing(act))


def test_a_seed_that_the_process_had_already_is_seen(changing, bridge):
    random.seed(0)
    seed_numpy()
    both = changing(lambda: (random.seed(0), seed_numpy()))
    assert all("Python's" in said and "NumPy's" in said for said in both)


def framework_draws(framework, p):
    """Ways to draw from the framework's own generators, and to seed them; JAX has none."""
    if framework == "torch":
        import torch

        return {"seeded with 0": lambda: torch.manual_seed(0), "drawn from": lambda: torch.randn(2)}
    if framework == "tensorflow":
        import keras
        import tensorflow as tf

        return {
            "TensorFlow's random generator (seeded with 0)": lambda: tf.random.set_seed(0),
            "TensorFlow's random generator (drawn from)": lambda: tf.random.normal([2]),
            "TensorFlow's global random generator": lambda: tf.random.get_global_generator().normal([2]),
            "Keras's generator of seeds": lambda: keras.random.normal([2]),
        }
    return {}


def test_the_framework_s_generators_are_watched(changing, framework, bridge, p):
    if not state.generators(bridge).keys() - state.GENERATORS.keys():
        pytest.skip("it has none")
    for words, act in framework_draws(framework, p).items():
        assert all(words in said for said in changing(act)), words


def test_a_step_that_is_traced_is_watched_too(guard, framework, bridge, p):
    if framework == "jax":
        pytest.skip("it has no generator of its own")
    for act in framework_draws(framework, p).values():
        step = functools.partial(guard("noisy_loss", act), p.loss, noise=p.x[None])
        with pytest.raises(Complaint, match="noisy_loss changed"):
            bridge.traced(step, bridge.COMPARED_MODES[1], (p.x,))


def test_generators_are_left_in_a_state_that_nothing_else_has_seen(guard, p):
    """What is drawn after a call that seeds is not what the seed gives."""
    for act in (lambda: random.seed(0), seed_numpy):
        with pytest.raises(Complaint):
            guard("fgm", act)(p.loss, p.x, radius=0.1)
    assert random.random() != random.Random(0).random()
    assert np.random.get_bit_generator().random_raw() != np.random.RandomState(0).tomaxint()


def test_every_setting_is_watched_and_put_back(changing, bridge):
    """Each by itself, whatever framework it is of."""
    for name, setting in state.settings(bridge).items():
        before = setting.read()
        if before == setting.other:
            continue  # the machine has one core, say
        for said in changing(lambda setting=setting: setting.write(setting.other)):
            assert f"{name} (" in said
            assert setting.read() == before, f"{name} is not put back"


def test_what_a_library_sets_where_it_is_first_imported_is_put_back_and_no_fault(guard, p, tmp_path, monkeypatch):
    (tmp_path / "filtering_library.py").write_text("import warnings\nwarnings.simplefilter('ignore')\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = list(warnings.filters)
    try:
        guard("fgm", lambda: __import__("filtering_library"))(p.loss, p.x, radius=0.1)
    finally:
        sys.modules.pop("filtering_library", None)
    assert warnings.filters == before
    with pytest.raises(Complaint, match=r"fgm changed warnings.filters \(with \('ignore', "):
        guard("fgm", lambda: warnings.simplefilter("ignore"))(p.loss, p.x, radius=0.1)


def test_what_leaves_the_process_as_it_was_passes(guard, methods, framework, bridge, p):
    """Generators of one's own, contexts that are left again, and every sampler of the reference."""

    def act():
        np.random.default_rng(0).standard_normal(2)
        random.Random(0).random()
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()
        if framework == "torch":
            import torch

            with torch.random.fork_rng(), torch.no_grad():
                torch.manual_seed(0)
                torch.randn(2)
        if framework == "tensorflow":
            import tensorflow as tf

            tf.random.stateless_normal([2], seed=[1, 2])
            tf.random.Generator.from_seed(0).normal([2])

    guard("fgm", act)(p.loss, p.x, radius=0.1)
    for name in ("rademacher", "gaussian", "uniform", "uniform_sphere", "uniform_ball"):
        guard(name)(3, (2, 4), like=p.x)
    bridge.compiled(lambda x: guard("noisy_loss")(p.loss, x, p.x[None]), bridge.COMPARED_MODES[1])(p.x)


def test_a_graph_that_drew_before_and_is_collected_in_the_block_is_no_draw(guard, framework, p):
    """Collection may come at any time, within any block."""
    if framework != "tensorflow":
        pytest.skip("of TensorFlow's graphs")
    import tensorflow as tf

    graphs = [tf.Graph()]
    with graphs[0].as_default():
        tf.random.set_seed(3)
        tf.random.normal([2])

    def act():
        graphs.clear()
        gc.collect()

    guard("fgm", act)(p.loss, p.x, radius=0.1)


def test_a_sampler_that_seeds_the_framework_is_told_to_make_a_generator(guard, bridge, framework, p):
    if framework == "jax":
        pytest.skip("it has no generator of its own")
    with pytest.raises(Complaint, match=r"gaussian changed .*seeded with 3.* a generator of its own"):
        guard("gaussian", lambda: state.module(bridge).seed(3))(3, (2, 4), like=p.x)


def test_blocks_within_blocks_see_what_is_theirs(bridge):
    with Kept(bridge) as outer, Kept(bridge) as inner:
        pass
    assert not (outer.changes or inner.changes)
    with Kept(bridge) as outer:
        with Kept(bridge) as inner:
            random.random()
            draw_numpy()
        assert len(inner.changes) == 2
    with Kept(bridge) as outer:
        draw_numpy()
        random.random()
        with Kept(bridge) as inner:
            pass
    assert not inner.changes and len(outer.changes) == 2


def test_planted_mistakes_about_the_process_leave_it_as_it_was(bridge, methods):
    """Or the next task would be measured in another state than it should."""
    planted = [mutant for mutant in mutants().values() if mutant.claims]
    assert len(planted) > 10
    before = state.read(bridge)
    for mutant in planted:
        if state.framework(bridge) not in mutant.impossible and mutant.methods & {"fgm", "hvp", "entropy"}:
            (method,) = mutant.methods
            tasks.agree(bridge, methods, "cpu", ["tanh-mlp"], "float64", [method], mutant.name)
            assert state.read(bridge) == before, mutant.name


# A file that is imported


@pytest.fixture
def write(tmp_path):
    def written(code, name="own.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(code))
        return path

    return written


COMMON_AT_THE_TOP = """
    import os, random, sys, warnings
    import numpy as np

    random.seed(0)
    np.random.seed(0)
    np.seterr(all="ignore")
    warnings.filterwarnings("ignore")
    os.environ["EQUIREG_SILENT"] = "1"
    sys.setrecursionlimit(5000)
    sys.path.insert(0, "a folder")


    def fgm(loss, x, *, radius, norm="l2", scope="sample"):
        return x
"""


def test_what_importing_a_file_does_to_its_process_is_put_back_and_said(write, bridge):
    path, before = write(COMMON_AT_THE_TOP), state.read(bridge)
    folders = list(sys.path)
    with put_back(bridge) as kept:
        assert list(loading.load(str(path), seconds=60).functions) == ["fgm"]
    assert sys.path == [*folders, "a folder", str(path.parent)], "neighbours are found, after everything else"
    sys.path[:] = folders
    assert state.read(bridge) == before
    assert {"Python's random generator", "NumPy's global random generator", "the recursion limit"} <= set(kept.changes)
    assert "the recursion limit (from " in str(kept)


# This program, which a file could replace


def wrong(*args, **options):
    return {}


def places(framework, bridge, methods):
    """What could be replaced: the name that is to be said, who holds it, under which name."""
    array = type(bridge.from_numpy(np.zeros(1)))
    library, name = {"torch": ("torch.func", "grad"), "jax": ("jax", "grad"), "tensorflow": ("tensorflow", "stack")}[
        framework
    ]
    return [
        ("equivalence.agreement.compare", agreement, "compare"),
        ("equivalence.agreement.KEPT", agreement, "KEPT"),
        ("equivalence.agreement.abs", agreement, "abs"),  # hides Python's
        ("equivalence.agreement.compare", agreement.compare, "__code__"),
        ("impls.contract.types.Shape.__init__", Shape.__init__, "__defaults__"),
        ("equivalence.foreign.guard.Guard.__call__", Guard, "__call__"),
        ("equivalence.foreign.guard.Guard.__getattribute__", Guard, "__getattribute__"),
        ("equivalence.tasks.MEASURERS.claim", tasks.MEASURERS, "claim"),
        (f"impls.{framework}.adversarial.fgm", methods.fgm.__wrapped__, "__code__"),
        (f"impls.{framework}.value_and_grad", bridge, "value_and_grad"),
        ("sys.modules.equivalence.agreement", sys.modules, "equivalence.agreement"),
        ("builtins.sum", builtins, "sum"),
        ("json.dumps", json, "dumps"),
        ("numpy.abs", np, "abs"),
        ("numpy.linalg.norm", np.linalg, "norm"),
        (f"{library}.{name}", sys.modules[library], name),
        (f"{array.__module__}.{array.__name__}.reshape", array, "reshape"),
    ]


def test_whatever_of_this_program_is_replaced_is_named(framework, bridge, methods, monkeypatch):
    seal = Seal(bridge)
    assert not list(seal.broken())
    for place, holder, key in places(framework, bridge, methods):
        with monkeypatch.context() as patch:
            if isinstance(holder, dict):
                patch.setitem(holder, key, wrong)
            elif key in ("__code__", "__defaults__"):
                before = getattr(holder, key)
                patch.setattr(holder, key, wrong.__code__ if key == "__code__" else (1, *before[1:]))
            else:
                patch.setattr(holder, key, wrong, raising=False)
            found = list(seal.broken())
        assert place in found, f"{place}: {found}"
        assert not list(seal.broken()), f"{place}: not undone"


def test_a_measurement_replaces_nothing(bridge, methods):
    """Nor does what is imported and traced meanwhile."""
    seal = Seal(bridge)
    tasks.claim(bridge, methods, "cpu", "C13", "softmax", "")
    tasks.agree(bridge, methods, "cpu", ["tanh-mlp"], "float64", ["input_gradient_penalty", "vat_loss"], "")
    seal.check("nothing")


def test_a_file_adds_what_nobody_here_looks_for(write, bridge):
    """A name of its own in a framework's module or class, say."""
    seal = Seal(bridge)
    array = type(bridge.from_numpy(np.zeros(1)))
    array.own_method = wrong
    np.own_function = wrong
    try:
        seal.check("nothing")
    finally:
        del array.own_method, np.own_function


# How often the reference does the work


def test_calls_that_end_in_the_reference_are_counted(guard, methods, p, bridge, tmp_path):
    half = guard("fgm", lambda: None)
    for _ in range(3):
        half(p.loss, p.x, radius=0.1)
    half.function = lambda loss, x, **options: 0 * x
    for _ in range(2):
        half(p.loss, p.x, radius=0.1)
    other = guard("noisy_loss")
    other.function = lambda loss, x, noise: loss(x + methods.unit(noise[0]))  # another one of the reference's
    other(p.loss, p.x, p.x[None])
    (tmp_path / "other.calls").write_text("not ours")
    assert counted(str(tmp_path)) == {"fgm": (5, 3), "noisy_loss": (1, 0)}


# The whole of it


def verified(path, framework, *words):
    return RUNNER.invoke(app, ["verify", "--impl", str(path), "--framework", framework, *map(str, words)])


@pytest.mark.slow
def test_a_file_that_replaces_a_comparison_is_refused(write, framework, tmp_path):
    path = write("""
        import equivalence.agreement

        equivalence.agreement.compare = lambda *found: {"kind": "agreement", "value": [0.0], "gradient": [0.0]}


        def fgm(loss, x, *, radius, norm="l2", scope="sample"):
            return x
    """)
    found = verified(path, framework, "--out", tmp_path)
    assert found.exit_code == 2
    assert "importing it replaces equivalence.agreement.compare: expected a file that leaves" in found.output


THREE = """
    import random

    from impls.{framework}.losses import entropy as nearly
    from impls.{framework}.losses import squared_error as own

    random.seed(0)


    def squared_error(outputs, targets):
        return own(outputs, targets)


    def kl_divergence(p_logits, q_logits):
        random.seed(0)
        return nearly(p_logits)


    def entropy(logits):
        return 1.03 * nearly(logits)
"""


@pytest.mark.slow
def test_a_file_is_judged_by_what_it_computes_alone(write, framework, tmp_path):
    """One function is right, and it is said whose work it is; one seeds, one is wrong."""
    path, records = write(THREE.format(framework=framework)), tmp_path / "records.json"
    found = verified(path, framework, "--claim", "F", "--quick", "--json", records, "--out", tmp_path)
    assert found.exit_code == 1
    assert "importing it changes Python's random generator" in found.output
    made = json.loads(records.read_text())
    measured = {record["usage"]: record for record in made if record["kind"] == "agreement"}
    assert measured["squared_error"]["status"] == "ok" and measured["squared_error"]["holds"]
    assert "kl_divergence changed Python's random generator" in measured["kl_divergence"]["reason"]
    assert measured["entropy"]["status"] == "ok" and max(map(abs, measured["entropy"]["measurement"]["value"])) > 1e6
    (own,) = [record for record in made if record["kind"] == "implementation"]
    assert own["in_reference"]["squared_error"] == own["calls"]["squared_error"] > 0
    calls = own["calls"]["squared_error"]
    assert f"squared_error: {calls} of {calls} calls end in the reference" in " ".join(found.output.split())


@pytest.mark.slow
def test_a_function_that_falsifies_what_is_said_of_it_fails(write, framework, tmp_path):
    """It replaces the comparison when it is called, and writes what looks like results wherever it can."""
    path = write(f"""
        import os

        import equivalence.agreement
        from impls.{framework}.losses import entropy as right


        def entropy(logits):
            equivalence.agreement.compare = lambda *found: {{"kind": "agreement", "value": [0.0], "gradient": [0.0]}}
            for number in range(2, 64):
                try:
                    os.write(number, b'\\n{{"event": "done", "number": 0, "status": "ok", "seconds": 0}}\\n')
                except OSError:
                    pass
            return 1.03 * right(logits)
    """)
    found = verified(path, framework, "--claim", "F", "--quick", "--out", tmp_path)
    assert found.exit_code == 1
    assert "failed: the file replaces equivalence.agreement.compare: expected" in " ".join(found.output.split())
