"""One framework a process: EQUIREG_FRAMEWORK names it; without it, the first installed of torch, jax, tensorflow."""

import importlib.util
import os
from pathlib import Path

import pytest

import impls
from bench.proofs.verify import environment
from equivalence import divided
from impls.frameworks import DESCRIBED, FRAMEWORKS
from tests.points import point

HERE = Path(__file__).parent
INSTALLED = impls.installed()
WANTED = os.environ.get("EQUIREG_FRAMEWORK") or next(iter(INSTALLED), "one of " + ", ".join(FRAMEWORKS))
# Before a file imports a framework, which reads them once. What JAX compiles is kept for the next run.
for name, value in (environment() | {"TF_CPP_MIN_LOG_LEVEL": "3"}).items():
    os.environ.setdefault(name, value)
# What is one framework's own has tests in files that begin or end with its name, or in a folder of its name.
PATTERNS = ("test_*_{}.py", "test_{}_*.py", "training/{}")
OWN = {path: name for name in FRAMEWORKS for each in PATTERNS for path in HERE.glob(each.format(name))}
collect_ignore = [str(path) for path, name in OWN.items() if name != WANTED]
collect_ignore += [] if importlib.util.find_spec("ray") else ["test_ray.py"]  # has a tox environment of its own
collect_ignore += [] if os.environ.get("EQUIREG_PACKAGE") else ["test_package.py"]  # likewise
collect_ignore += [] if os.environ.get("EQUIREG_PUBLISHED") else ["test_witnesses.py"]  # likewise
# Other packages are installed where their arms are tested alone: tox's peers environments.
PEER = DESCRIBED[WANTED].peer if WANTED in DESCRIBED else ""
if not PEER or importlib.util.find_spec(PEER) is None:
    collect_ignore.append("test_peers.py")
ALONE = {*OWN, *(HERE / name for name in ("test_ray.py", "test_package.py", "test_peers.py", "test_witnesses.py"))}


def pytest_collection_modifyitems(items):
    """Mark what needs no framework: it is the same beside each of them, and tested without any (`-m core`)."""
    for item in items:
        if "framework" not in item.fixturenames and ALONE.isdisjoint((item.path, *item.path.parents)):
            item.add_marker("core")


@pytest.fixture
def write(tmp_path, request):
    """Writes a model's file: the test module's START and what is its own. Returns its path."""

    def written(code):
        path = tmp_path / "own.py"
        path.write_text(request.module.START + code)
        return str(path)

    return written


@pytest.fixture(scope="session")
def framework():
    """The framework's name. One that was asked for and is missing is an error: a skip would look like a pass."""
    if WANTED not in INSTALLED:
        found = ", ".join(INSTALLED) or "none"
        raise RuntimeError(f"EQUIREG_FRAMEWORK: expected {WANTED} to be installed, found {found}")
    return WANTED


@pytest.fixture(scope="session")
def bridge(framework):
    bridge = impls.load(framework)
    bridge.configure(threads=1, double=True)  # on models this small threads only wait for each other
    divided.prepare(bridge)
    return bridge


@pytest.fixture
def precision(framework):
    """JAX's and Keras's is the process's, which other tests share: what a training or a model sets is put back."""
    if framework == "tensorflow":
        config = importlib.import_module("keras").config
        before = config.floatx(), config.dtype_policy()
        yield
        config.set_floatx(before[0])
        config.set_dtype_policy(before[1])
    elif framework == "jax":
        config = importlib.import_module("jax").config
        wide = config.jax_enable_x64
        yield
        config.update("jax_enable_x64", wide)
    else:
        yield


@pytest.fixture(scope="session")
def methods(framework, bridge):
    """Every method of the contract; the bridge first, since no array may be made before it is configured."""
    return impls.methods(framework)


@pytest.fixture(scope="session")
def p(bridge, methods):
    """The small problem of `tests.points`."""
    return point(bridge)
