"""Options of the pytest-benchmark entry points. One framework a process, so exactly one is chosen."""

import os

import pytest

import impls


def pytest_addoption(parser):
    parser.addoption("--framework", help="the framework whose steps are timed; default: the first installed")
    parser.addoption("--mode", help="how it runs them: compiled, xla, ...; default: what a quick run takes")


def pytest_configure(config):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy only checks: it must not take the framework's cores


@pytest.fixture(scope="session")
def bridge(pytestconfig):
    """The framework, configured as for a run: its threads are the cores that this process may use."""
    bridge = impls.load(chosen_framework(pytestconfig))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    bridge.configure(threads=cores, double=False)
    return bridge


def chosen_framework(config):
    """What --framework names. A missing one is an error: a skip would look like a pass."""
    found = impls.installed()
    wanted = config.getoption("--framework", default=None) or next(iter(found), f"one of {', '.join(impls.FRAMEWORKS)}")
    if wanted not in found:
        raise pytest.UsageError(f"--framework: expected {wanted} to be installed, found {', '.join(found) or 'none'}")
    return wanted


def pytest_generate_tests(metafunc):
    """One test a cell: every workload and method in the framework and mode that were asked for."""
    if "cell" not in metafunc.fixturenames:
        return
    from bench.costs.cells import LOOP_MODES, MODES, QUICK_MODE, plan  # brings NumPy in, which reads the environment

    framework = chosen_framework(metafunc.config)
    mode = metafunc.config.getoption("--mode", default=None) or QUICK_MODE[framework]
    modes = MODES[framework] + LOOP_MODES[framework]
    if mode not in modes:
        raise pytest.UsageError(f"--mode: got {mode}, expected one of {', '.join(modes)} for {framework}")
    cells = [cell for cell in plan([framework]) if cell.mode == mode]
    metafunc.parametrize("cell", cells, ids=[f"{cell.workload}-{mode}-{cell.method}" for cell in cells])
