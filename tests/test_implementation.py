"""Other people's code: whatever a file does, it is told what is wrong, and what is right about it is found right."""

import codecs
import functools
import json
import re
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import impls
from bench.commands.app import app
from bench.proofs import implementation, template
from bench.proofs.declared import declared
from equivalence.foreign.guard import Guard
from equivalence.foreign.journal import Journal, called, ended_in, noted, printed
from equivalence.foreign.limit import Overtime, limited
from equivalence.foreign.loading import Scope, is_reference, load, stubs
from equivalence.protocol import Complaint, NotCovered

ROOT = Path(__file__).parents[1]
RUNNER = CliRunner()


def invoke(*words):
    return RUNNER.invoke(app, [str(word) for word in words])


@pytest.fixture
def write(tmp_path):
    """Write a file, its code indented as it is here; returns its path."""

    def written(code, name="own.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(code))
        return path

    return written


# What is refused without a process


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("missing.py", None, "No such file"),
        ("own.txt", "def fgm(): ...", "ending in .py"),
        ("own.py", "\ndef fgm(loss, x\n    return x", "own.py:2: not Python: '(' was never closed: `def fgm(loss, x`"),
        ("own.py", "a\0b", "not Python"),
    ],
)
def test_a_file_that_is_no_python_is_refused(name, code, said, tmp_path, framework):
    path = tmp_path / name
    if code is not None:
        path.write_text(code)
    found = invoke("verify", "--impl", path, "--framework", framework, "--out", tmp_path)
    assert found.exit_code == 2 and said in found.output


def test_one_framework_is_needed(write, tmp_path):
    path = write("def fgm(): ...")
    for words in ([], ["--framework", "torch", "--framework", "jax"]):
        for command in (["verify", "--impl", path, "--out", tmp_path], ["template"]):
            found = invoke(*command, *words)
            assert found.exit_code == 2 and "exactly one --framework" in found.output


# What is found when it is imported


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import no_such_package",
            "cannot be imported: ModuleNotFoundError: No module named 'no_such_package' (line 1)",
        ),
        ("\n1 / 0", "cannot be imported: ZeroDivisionError: division by zero (line 2)"),
        ("raise KeyboardInterrupt", "cannot be imported: KeyboardInterrupt (line 1)"),
        ("import sys\nsys.exit(3)", "calls exit(3) when it is imported (line 2)"),
        ("while True:\n    pass", "took longer than 0.3 s of processor time while it was imported (line "),
        (
            "DTYPES = 'float32'\ndef entropy(logits): ...",
            "DTYPES is 'float32', expected a tuple of some of 'float64', ",
        ),
        (
            "DTYPES = ('half',)\ndef entropy(logits): ...",
            "DTYPES is ('half',), expected a tuple of some of 'float64', ",
        ),
        ("GRADIENTS = 'no'\ndef entropy(logits): ...", "GRADIENTS is 'no', expected True or False"),
        ("TRACED = 0\ndef entropy(logits): ...", "TRACED is 0, expected True or False"),
        ("def fgsm(loss, x): ...", "fgsm (nearest: fgm)"),
        ("x = 1", "no function of the contract"),
        ("from impls.contract.adversarial import fgm", "no function of the contract"),  # the reference's own
    ],
)
def test_a_file_that_gives_no_function_is_told_why(code, said, write):
    with pytest.raises(Complaint) as found:
        load(str(write(code)), seconds=0.3)
    assert said in str(found.value)


def test_only_the_reference_itself_is_left_out(methods):
    def logged(function):
        return functools.wraps(function)(lambda *args, **kwargs: function(*args, **kwargs))

    assert is_reference(methods.fgm) and is_reference(stubs()["fgm"])
    for own in (logged(methods.fgm), functools.partial(methods.fgm), lambda *args: methods.fgm(*args)):
        assert not is_reference(own)


# As transformations do it: what comes of them has the signature of what they were made of.
MADE = "import functools\ndef made(one): return functools.wraps(one)(lambda *args, **options: one(*args, **options))\n"
SIGNATURES = {
    "def fgm(loss, x, *, radius): ...": "'norm' is missing, 'scope' is missing; expected fgm(loss, x, *, radius,",
    "def fgm(loss, x, *, norm='l2', scope='sample', **rest): ...": "",
    "def fgm(x, loss, *, radius, norm='l2', scope='sample'): ...": "argument 1 is 'x', not 'loss'",
    "def fgm(model, x, *, radius, norm='l2', scope='sample'): ...": "'loss' is missing, 'model' is required",
    "def fgm(loss, *, x, radius, norm='l2', scope='sample'): ...": "'x' cannot be passed by position",
    "def fgm(loss, x, /, *, radius, norm='l2', scope='sample'): ...": "'loss' cannot be passed by name",
    "def fgm(loss, x, *, radius, norm, scope='sample'): ...": "'norm' has no default, the contract's is 'l2'",
    "def fgm(loss, x, *, radius, norm='linf', scope='sample'): ...": "the default of 'norm' is 'linf'",
    "def fgm(loss, x, radius=1, norm='l2', scope='sample', more=0): ...": "",
    "def fgm(*args, **kwargs): ...": "",
    "fgm = 3": "fgm: got a int, expected a function",
    f"{MADE}def one(f, z, *, radius, norm='l2', scope='sample'): ...\nfgm = made(one)": "",
    f"{MADE}def one(f, *, radius, norm='l2', scope='sample'): ...\nfgm = made(one)": "'loss' is missing",
    f"{MADE}def one(x, loss, *, radius, norm='l2', scope='sample'): ...\nfgm = made(one)": "argument 1 is 'x'",
}


@pytest.mark.parametrize("code", SIGNATURES)
def test_a_signature_must_take_what_the_contract_allows(code, write):
    path = str(write(code))
    if said := SIGNATURES[code]:
        with pytest.raises(Complaint) as found:
            load(path, seconds=60)
        assert said in str(found.value) and "\n" not in str(found.value)
    else:
        assert list(load(path, seconds=60).functions) == ["fgm"]


def test_importing_may_print_and_import_its_neighbours(write, capsys):
    write("def first(loss, x, *, radius, norm='l2', scope='sample'): ...", "neighbour.py")
    path = write("print('hello')\nfrom neighbour import first as fgm")
    assert list(load(str(path), seconds=60).functions) == ["fgm"]
    assert capsys.readouterr().out == "hello\n"
    assert not (path.parent / "__pycache__").exists()


@pytest.mark.slow
def test_a_file_that_ends_its_process_when_imported_is_refused(write, tmp_path, framework):
    path = write("import os\nos._exit(5)")
    found = invoke("verify", "--impl", path, "--framework", framework, "--out", tmp_path)
    assert found.exit_code == 2 and "exit status 5" in found.output


# What a file's text says, before any process has looked at it

FUNCTION = "def fgm(loss, x, *, radius, norm='l2', scope='sample'): ..."
TEXTS = {
    FUNCTION: (["fgm"], None),
    f"{FUNCTION}\nDTYPES = ('float32',)\nGRADIENTS = False": (["fgm"], ("float32",)),
    f"{FUNCTION}\nTRACED = False": (["fgm"], None),
    "from impls.torch.adversarial import pgd\nhelper = fgm = lambda loss, x, **options: None": (["fgm"], None),
    "from elsewhere import hers as fgm, unit": (["unit", "fgm"], None),
}
SILENT = ["", "globals()['fgm'] = print", f"{FUNCTION}\nDTYPES = tuple(['float32'])", f"{FUNCTION}\nGRADIENTS = 'no'"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_says_what_a_file_has(text, write):
    functions, dtypes = TEXTS[text]
    found = declared(write(text), "torch", "cpu")
    assert found and found.functions == functions
    assert found.dtypes == (dtypes or Scope.dtypes) and found.gradients == ("GRADIENTS" not in text)
    assert found.traced == ("TRACED" not in text)


@pytest.mark.parametrize("text", SILENT)
def test_a_text_that_does_not_say_enough_says_nothing(text, write):
    found = declared(write(text), "torch", "cpu")
    assert found is None


@pytest.mark.slow
@pytest.mark.parametrize("code", ["fgm = None\ndel fgm", f"{FUNCTION}\nimport os\nos._exit(5)", "fgm = 1 / 0"])
def test_a_file_that_is_not_what_its_text_says_is_looked_at_first(code, write, framework):
    found = invoke("verify", "--impl", write(code), "--framework", framework)
    said = {"fgm = None": "defines no function", "def fgm(lo": "exit status 5", "fgm = 1 / ": "division by zero"}
    assert found.exit_code == 2 and said[code[:10]] in found.output and "replaces" not in found.output


# What a function does


@pytest.fixture
def guard(bridge, methods, tmp_path):
    """A function under a name of the contract, watched."""

    def watched(name, function, seconds=60.0, scope=Scope()):  # noqa: B008 - it cannot be changed
        return Guard(name, function, getattr(methods, name), __file__, bridge, Journal(str(tmp_path)), seconds, scope)

    return watched


def leave(loss, x, **options):
    sys.exit(3)


def interrupt(loss, x, **options):
    raise KeyboardInterrupt


class Stop(BaseException):
    """As frameworks for processes and threads have their own."""


def stop(loss, x, **options):
    raise Stop


def close(loss, x, **options):
    raise GeneratorExit


def fail(loss, x, **options):
    return [][0]


MISBEHAVED = {
    "exits": (leave, "fgm called exit(3) (line "),
    "is interrupted": (interrupt, "fgm raised KeyboardInterrupt (line "),
    "is closed": (close, "fgm raised GeneratorExit (line "),
    "stops in its own way": (stop, "fgm raised Stop (line "),
    "raises": (fail, "fgm raised IndexError: list index out of range (line "),
    "no result": (lambda loss, x, **options: None, "fgm returned None, expected a "),
    "a number": (lambda loss, x, **options: 1.0, "fgm returned a float, expected a "),
    "NumPy": (lambda loss, x, **options: np.zeros((3, 4)), "fgm returned a NumPy array, expected a "),
    "a shape": (lambda loss, x, **options: loss(x), "fgm returned shape (3,), expected (3, 4)"),
    "NaN": (lambda loss, x, **options: x * float("nan"), "fgm returned NaN or infinity"),
}


@pytest.mark.parametrize("what", MISBEHAVED)
def test_what_a_function_does_wrong_is_said_by_its_name(what, guard, p):
    function, said = MISBEHAVED[what]
    with pytest.raises(Complaint) as found:
        guard("fgm", function)(p.loss, p.x, radius=0.1)
    assert str(found.value).startswith(said)


def test_what_is_printed_is_kept_once_and_what_gives_a_result_is_known(guard, methods, p, tmp_path):
    def say(loss, x, **options):
        print(f"radius {options['radius']}")
        return methods.fgm(loss, x, **options)

    for radius in (0.1, 0.2):
        guard("fgm", say)(p.loss, p.x, radius=radius)
    with pytest.raises(Complaint):
        guard("entropy", lambda logits: None)(p.logits)
    assert printed(str(tmp_path)) == {"fgm": "radius 0.1"}
    assert called(str(tmp_path)) == ["fgm"]


def refuse(loss, x, *, radius, norm="l2", scope="sample"):
    raise NotImplementedError(f"no {norm} ball")


def test_what_a_file_does_not_offer_is_not_covered(guard, p):
    with pytest.raises(NotCovered, match=r"fgm raised NotImplementedError: no l1 ball \(line "):
        guard("fgm", refuse)(p.loss, p.x, radius=0.1, norm="l1")
    with pytest.raises(NotCovered, match=r"fgm: DTYPES is \('float32',\)"):
        guard("fgm", refuse, scope=Scope(dtypes=("float32",)))(p.loss, p.x, radius=0.1)


def test_code_that_is_never_traced_may_look_at_values(guard, p, framework, bridge):
    """It is right where values are known, and not asked where they are not."""
    if framework != "torch":
        pytest.skip("what is written in the others is traced by whoever uses it")

    def branching(loss, x, *, radius, **options):
        return x * radius if (x > 1e9).any() else x * 0

    def traced(watched):
        return bridge.compiled(lambda x: watched(p.loss, x, radius=0.1), "traced")(p.x)

    right, eager = guard("fgm", branching), guard("fgm", branching, scope=Scope(traced=False))
    for watched in (right, eager):
        watched(p.loss, p.x, radius=0.1)
    with pytest.raises(Complaint, match="TRACED = False says that the file's functions are never traced"):
        traced(right)
    with pytest.raises(NotCovered, match="fgm: TRACED is False"):
        traced(eager)


def test_a_backward_pass_that_reaches_parameters_is_told(guard, framework, p, tmp_path):
    """It is how many write it, and right where gradients are set to zero afterwards."""
    if framework != "torch":
        pytest.skip("only PyTorch's arrays have a .grad")

    def ascend(loss, x, *, radius, alone, **options):
        x = x.detach().requires_grad_()
        loss(x).sum().backward(inputs=[x] if alone else None)
        return radius * x.grad

    guard("fgm", functools.partial(ascend, alone=True))(p.loss, p.x, radius=0.1)
    assert not noted(str(tmp_path))
    guard("fgm", functools.partial(ascend, alone=False))(p.loss, p.x, radius=0.1)
    assert noted(str(tmp_path))["fgm"].startswith("calls .backward() without inputs=")


def test_what_a_library_has_not_implemented_is_an_error(guard, p):
    """It is raised below the file: that a call is used wrongly is how libraries say it."""

    def unwritten(loss, x, **options):
        return codecs.Codec().encode("x")

    with pytest.raises(Complaint, match="raised NotImplementedError") as found:
        guard("fgm", unwritten)(p.loss, p.x, radius=0.1)
    assert not isinstance(found.value, NotCovered)


def test_a_dtype_must_be_the_arguments(guard, p, bridge):
    narrow = bridge.from_numpy(np.zeros((3, 4), np.float32))
    with pytest.raises(Complaint, match=r"fgm returned .*float32.*, expected .*float64.* as in its arguments"):
        guard("fgm", lambda loss, x, **options: narrow)(p.loss, p.x, radius=0.1)


def test_a_dtype_is_that_of_like_where_there_is_one(guard, p, methods, bridge):
    """Soft labels may come in another dtype than the logits: the result is to be multiplied with these."""
    soft = np.full((len(p.x), 3), 1 / 3)
    labels, like = (bridge.from_numpy(soft.astype(dtype)) for dtype in ("float32", "float64"))
    guard("smooth_labels", methods.smooth_labels)(labels, smoothing=0.1, like=like)
    with pytest.raises(Complaint, match=r"smooth_labels returned .*float32.*, expected .*float64"):
        guard("smooth_labels", lambda labels, **options: labels)(labels, smoothing=0.1, like=like)


def test_as_many_arrays_as_the_contract_says(guard, p):
    with pytest.raises(Complaint, match="expected a tuple of 2 arrays"):
        guard("spectral_norm", lambda weight, u, **options: u)(p.params["0.weight"], p.params["0.bias"])


def test_another_framework_s_array_is_told_from_one_s_own(guard, p):
    other = type("Tensor", (), {"__module__": "torch" if "torch" not in type(p.x).__module__ else "jax"})
    with pytest.raises(Complaint, match=r"fgm returned a (PyTorch tensor|JAX array), expected a "):
        guard("fgm", lambda loss, x, **options: other())(p.loss, p.x, radius=0.1)


def test_arguments_that_are_changed_in_place_are_noticed_and_put_back(guard, p, framework):
    def forget(loss, params, noise):
        params.clear()
        return noise

    params = dict(p.params)
    noise = {name: array[None] for name, array in params.items()}
    with pytest.raises(Complaint, match="weight_noise changed its argument params in place"):
        guard("weight_noise", forget)(p.loss, params, noise)
    assert params == p.params
    if framework == "torch":  # the arrays of the others cannot be changed

        def shift(loss, x, **options):
            x += 1
            return x

        x, before = p.x.clone(), p.x.clone()
        with pytest.raises(Complaint, match="fgm changed its argument x in place"):
            guard("fgm", shift)(p.loss, x, radius=0.1)
        assert (x == before).all()


@pytest.mark.parametrize(
    ("wait", "said"),
    [
        (lambda: None, r"fgm took longer than 0.2 s of processor time \(line "),
        (lambda: threading.Event().wait(60), r"fgm took longer than 0.4 s, waiting \(line "),
    ],
)
def test_a_function_that_hangs_is_stopped_and_not_called_again(wait, said, guard, p):
    def hang(loss, x, **options):
        while True:
            try:
                wait()
            except Exception:  # what hangs may well catch everything
                continue

    watched = guard("fgm", hang, seconds=0.2)
    with pytest.raises(Complaint, match=said):
        watched(p.loss, p.x, radius=0.1)
    with pytest.raises(Complaint, match="fgm is not called again: it took longer"):
        watched(p.loss, p.x, radius=0.1)


def compute(seconds):
    """Use processor time, as the process's own clock has it."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_a_limit_goes_on_after_one_within_it():
    reached = []

    def both():
        with limited(0.2):
            with limited(60):
                compute(0.1)
            reached.append("the end of the inner one")
            compute(60)

    with pytest.raises(Overtime, match=r"took longer than 0\.2 s"):
        both()
    assert reached


def test_a_limit_that_was_lost_in_a_destructor_comes_again():
    caught = []

    def lose():
        while len(caught) < 2:
            try:
                compute(60)
            except Overtime as late:
                caught.append(late)
        raise caught[-1]

    with pytest.raises(Overtime), limited(0.05):
        lose()


def test_right_functions_pass_the_guard(guard, methods, p, bridge):
    """With their results: what the guard looks at is in every right result."""
    r = guard("fgm", methods.fgm)(p.loss, p.x, radius=0.1)
    assert np.array_equal(bridge.to_numpy(r), bridge.to_numpy(methods.fgm(p.loss, p.x, radius=0.1)))
    guard("spectral_norm", methods.spectral_norm)(p.params["0.weight"], p.params["0.bias"])
    guard("uniform_ball", methods.uniform_ball)(0, (2, 3), like=p.x)
    guard("flooding", methods.flooding)(p.loss(p.x), level=0.1)
    bridge.gradient(lambda x: guard("noisy_loss", methods.noisy_loss)(p.loss, x, p.x[None]), p.x)


def test_what_a_dead_process_was_in_is_known(tmp_path):
    code = (
        "import os, sys; from equivalence.foreign.journal import Journal\n"
        "journal = Journal(sys.argv[1])\n"
        "with journal.entered('fgm'), journal.entered('hvp'): pass\n"
        "with journal.entered('pgd'): os._exit(0)"
    )
    dead = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    with Journal(str(tmp_path)).entered("fgm"):  # this process is alive
        assert list(ended_in(str(tmp_path)).values()) == ["pgd"], dead


# The whole of it


@pytest.mark.parametrize("framework_named", impls.FRAMEWORKS)
def test_the_template_has_the_whole_contract(framework_named, tmp_path):
    text = template.text(framework_named)
    compile(text, "template.py", "exec")
    plain = "".join(line.removeprefix("# ") for line in text.splitlines(keepends=True))
    compile(plain, "template.py", "exec")  # with every comment taken away, too
    assert all(f"def {name}(" in plain for name in stubs())
    assert [name for name in stubs() if f"\ndef {name}(" in text] == list(template.FILLED)


@pytest.mark.slow
def test_the_template_holds_as_it_is_printed(tmp_path, framework):
    printed = invoke("template", "--framework", framework)
    path = tmp_path / "own.py"
    path.write_text(printed.output)
    found = invoke("verify", "--impl", path, "--framework", framework, "--claim", "F", "--quick", "--out", tmp_path)
    assert printed.exit_code == found.exit_code == 0, found.output
    assert "replaces noisy_loss, flooding" in " ".join(found.output.split())
    assert found.output.count("holds 1/1") == 2
    assert list(tmp_path.iterdir()) == [path], "nothing is stored"


MIXED = """
    import os

    from impls.{framework}.adversarial import fgm as right
    from impls.{framework}.losses import squared_error as holds


    def fgm(loss, x, *, radius, norm="l2", scope="sample"):
        return right(loss, x, radius=1.05 * radius, norm=norm, scope=scope)


    def squared_error(outputs, targets):
        return holds(outputs, targets)


    def entropy(logits):
        os._exit(4)
"""


@pytest.mark.slow
def test_a_wrong_function_is_named_with_its_mistake_and_no_other(write, tmp_path, framework):
    """One is wrong by another constant than the planted one, one holds, one ends its process: two have no numbers."""
    path, records = write(MIXED.format(framework=framework)), tmp_path / "records.json"
    found = invoke(
        "verify", "--impl", path, "--framework", framework, "--out", tmp_path / "results", "--claim", "F", "--quick",
        "--json", records,
    )  # fmt: skip
    assert found.exit_code == 1
    assert "entropy was running: the worker died: exit status 4" in found.output
    advised = found.output.partition("fgm(radius=0.5) first differs from the reference in the usage 'fgm'")[2]
    assert "yours is 1.05 × the reference" in advised
    assert "fails as the known mistake 'fgm: 3 % too long'" in advised and "1.67 times as large" in advised
    assert not re.search(r"(entropy|squared_error)(?!: \d+ of \d+ calls)", advised)
    measured = {record["usage"]: record for record in json.loads(records.read_text()) if record["kind"] == "agreement"}
    assert measured["entropy"]["status"] == "failed" and "known mistake" not in measured["entropy"]["reason"]
    assert measured["squared_error"]["status"] == "ok"
    assert "'fgm: 3 % too long'" in measured["fgm"]["reason"]
    assert not (tmp_path / "results").exists(), "nothing is stored"


RAISING = """
    def fgm(loss, x, *, radius, norm="l2", scope="sample"):
        return loss(x)


    def hvp(loss, x, vector):
        raise ValueError("no")
"""


@pytest.mark.slow
def test_of_what_raises_or_is_refused_no_mistake_is_named(write, tmp_path, framework):
    path = write(RAISING)
    found = invoke("verify", "--impl", path, "--framework", framework, "--out", tmp_path, "--claim", "F", "--quick")
    assert found.exit_code == 1
    assert "hvp raised ValueError: no (line 7)" in found.output and "fgm returned shape" in found.output
    assert not re.search("known mistake|differs|cause", found.output)


@pytest.mark.slow
def test_the_example_in_the_documentation_says_what_it_says_there(write, tmp_path, framework):
    if framework != "torch":
        pytest.skip("the example is PyTorch's")
    section = (ROOT / "docs/verify-your-own.md").read_text(encoding="utf-8")
    example, said, fix = (
        re.search(rf"```{kind}\n(.*?)```", section, re.DOTALL)[1] for kind in ("python", "text", "diff")
    )
    command = re.search(r"`python -m bench (verify .*?)`", section)[1].split()
    path = write(example)
    found = invoke(*command, "--impl", path, "--out", tmp_path)
    assert found.exit_code == 1
    real = without_numbers(found.output)
    for line in said.splitlines():
        for piece in line.split("…"):  # what is left out
            assert without_numbers(piece) in real, f"{line}\n{found.output}"
    wrong, right = (line[1:] for line in fix.splitlines())
    assert wrong in example
    path = write(example.replace(wrong, right))
    found = invoke(*command, "--impl", path, "--out", tmp_path)
    assert found.exit_code == 0, found.output


def without_numbers(text):
    """The last digits may depend on the machine."""
    return " ".join(re.sub(r"-?\d[\d.]*(e[+-]\d+)?", "#", text).split())


@pytest.mark.slow
def test_functions_that_nothing_measures_are_refused(write, tmp_path, framework):
    path = write("def fgm(loss, x, *, radius, norm='l2', scope='sample'): ...")
    found = invoke("verify", "--impl", path, "--framework", framework, "--claim", "A1", "--out", tmp_path)
    assert found.exit_code == 2 and "nothing to measure" in found.output


@pytest.mark.slow
def test_an_import_that_hangs_out_of_python_is_ended(write, tmp_path, framework, monkeypatch):
    monkeypatch.setattr(implementation, "IMPORTING", 1.0)
    path = write("import signal, time\nsignal.setitimer(signal.ITIMER_REAL, 0)\ntime.sleep(60)")  # as C code would
    found = invoke("verify", "--impl", path, "--framework", framework, "--out", tmp_path)
    assert found.exit_code == 2 and "took longer than" in found.output
