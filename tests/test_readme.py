"""What README.md says is so: its example runs, its test command is what CI runs."""

import re
from pathlib import Path

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


EXAMPLES = {"torch": "import torch", "jax": "import jax", "tensorflow": "import keras"}


def test_every_framework_has_an_example_and_every_example_a_framework():
    found = [[name for name, line in EXAMPLES.items() if line in example] for example in blocks("python")]
    assert sorted(found) == [["jax"], ["tensorflow"], ["torch"], ["torch"], ["torch"]]


def test_examples_run(framework, bridge):
    own = [example for example in blocks("python") if EXAMPLES[framework] in example]
    for example in own:
        exec(compile(example, "README.md", "exec"), {"__name__": "readme"})
