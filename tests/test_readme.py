"""What README.md says is so: its example runs, its test command is what CI runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    """The code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_ci_runs_the_test_command():
    _, test_command = blocks("sh")[0].splitlines()
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1] == test_command


def test_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^#)]+)\)", README) if not link.startswith("results/")]  # generated
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("example", blocks("python"))
def test_example_runs(framework, example):
    if framework != "torch":
        pytest.skip("the example is PyTorch's")
    exec(compile(example, "README.md", "exec"), {})
