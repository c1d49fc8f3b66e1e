"""A Ray cluster on this machine that loses a node in the middle of a task: the test of that, where Ray is installed."""

import importlib.util
import subprocess
import sys

from bench.places import ROOT
from tests.faults.harness import Kind, Verdict

TESTS = "tests/test_ray.py"
REASON = "ray is not installed: tox -e ray tries it"


def inflict(number: int, seed: int) -> Verdict:
    verdict = Verdict("a node is killed while it measures")
    if importlib.util.find_spec("ray") is None:
        verdict.skipped = REASON
        return verdict
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-k", "lost_node", TESTS],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    verdict.complain_unless(done.returncode == 0, done.stdout[-600:])
    return verdict


KIND = Kind("a lost node", 1, inflict)
