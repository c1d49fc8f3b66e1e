"""Other packages' arms give what the oracle gives, and an arm that is wrong is refused. Collected where they are."""

import importlib.metadata
from dataclasses import replace

import numpy as np
import pytest

from bench import peers
from bench.costs.expected_steps import first
from bench.costs.workloads import build
from bench.peers.expected_results import Expected, ascent, expected
from equivalence.reference import Reference
from tests.conftest import WANTED

pytestmark = pytest.mark.filterwarnings(
    "ignore:Using backward\\(\\) with create_graph=True:UserWarning",  # PyHessian's constructor; its cycle is cut
    "ignore::DeprecationWarning",  # of what the packages import
    "ignore::FutureWarning",
)
SAMPLES = 16


@pytest.fixture(scope="module")
def case():
    return first(build("digits-cnn"), SAMPLES)


@pytest.fixture(scope="module")
def wanted(case, framework, bridge):
    """What a task's arm must give, ours without a name."""
    found = {}

    def find(task, name=""):
        iterates = isinstance(task.job, peers.Eigenvalue) and task.job.how == "power"
        key = task.name, name if iterates or name == "ART" else ""
        if key not in found:
            arm = peers.build(task, framework, name or task.arms(framework)[0], small(task, case))
            found[key] = expected(task, small(task, case), name, arm)
        return found[key]

    return find


def small(task, case):
    """The Laplacian in 784 inputs takes the oracle long: of two samples."""
    return first(case, 2) if isinstance(task.job, peers.InputLaplacian) else case


CHECKED = {name: task.thorough for name, task in peers.TASKS.items() if task.arms(WANTED)}
TASKS = pytest.mark.parametrize("task", CHECKED.values(), ids=lambda task: task.name)
ATTACKS = [task for task in CHECKED.values() if isinstance(task.job, peers.Attack)]


@TASKS
def test_every_arm_is_right(task, framework, bridge, case, wanted):
    complaints = {}
    for name in task.arms(framework):
        if name != "equireg compiled":  # compiles for a minute: who times it checks it first
            arm = peers.build(task, framework, name, small(task, case))
            complaints[name] = wanted(task, name).complaint(arm.numpy(arm.run()))
    assert set(complaints.values()) <= {""}, complaints


@pytest.mark.parametrize("task", ATTACKS, ids=lambda task: task.name)
@pytest.mark.parametrize("change", [{"step": 0.9}, {"radius": 0.9}, {"steps": 2}], ids=str)
def test_a_wrong_attack_is_refused(task, change, case, wanted):
    """A step or a radius of nine tenths, two steps for one or ten."""
    options = {name: value * getattr(task.job, name) if name != "steps" else value for name, value in change.items()}
    *_, got = ascent(Reference(case).point, replace(task.job, **options), box_first=False)
    alone = task.job.steps == 1 and "radius" not in change and "step" not in change
    assert wanted(task).complaint(got) or (alone and task.job.norm == "linf")  # a second FGSM step mostly repeats it


@pytest.mark.parametrize("name", ["pgd-10 l2", "fgm l2"])
def test_one_norm_for_the_whole_batch_is_refused(name, case, wanted):
    task, point = CHECKED[name], Reference(case).point
    gradient = point.loss.grad(point.x)
    moved = point.x + task.job.radius * gradient / np.linalg.norm(gradient)
    assert wanted(task).complaint(np.clip(moved, *peers.BOUNDS))


@TASKS
def test_what_is_not_a_number_is_refused(task, wanted):
    want = wanted(task)
    assert not want.complaint(want.exact)
    assert want.complaint(np.full_like(want.exact, np.nan))
    assert want.complaint(want.exact[None])


TRACE, EIGENVALUES = "hessian trace", tuple(name for name in CHECKED if name.startswith("top"))


@pytest.mark.parametrize(
    ("name", "factor"),
    [(TRACE, 2), (TRACE, SAMPLES), *((name, factor) for name in EIGENVALUES for factor in (0.9, 1.01, SAMPLES))],
)
def test_a_wrong_factor_is_refused(name, factor, wanted):
    """Twice the Hessian, that of the sum over the batch; an iteration that is not done, or goes too far."""
    want = wanted(CHECKED[name])
    assert want.complaint(factor * want.exact)


def test_each_component_has_its_slack():
    want = Expected(np.array([1.0, 2.0]), np.array([0.1, 1.0]))
    assert not want.complaint(np.array([1.09, 2.9]))
    assert want.complaint(np.array([1.11, 2.0]))
    assert want.complaint(np.array([1.0, 3.1]))


def test_most_samples_of_an_attack_are_judged_to_rounding(wanted):
    """What is left to the ball's size alone must stay the exception."""
    for task in ATTACKS:
        want = wanted(task)
        assert (want.slack < task.job.radius / 1000).mean() > 0.5


def test_an_arm_that_there_is_not_is_an_error_that_says_what_there_is(framework, case):
    task = peers.TASKS["fgm l2"]
    with pytest.raises(ValueError, match=r"expected one that .* has for fgm l2: equireg"):
        peers.build(task, framework, "PyHessian", case)
    with pytest.raises(ValueError, match=r"needs Python 3\.12"):
        peers.build(task, framework, "jet-for-pytorch", case)


def test_versions_are_those_of_the_packages(framework):
    names = {name for task in peers.TASKS.values() for name in task.arms(framework)}
    for name in names & peers.PACKAGES.keys():
        assert peers.version(name) == f"{peers.PACKAGES[name]} {importlib.metadata.version(peers.PACKAGES[name])}"
    assert peers.version("plain loop") == ""
