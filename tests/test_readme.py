"""What README.md and docs/ say is so: examples run, links lead somewhere, the test command is what CI runs."""

import re
from pathlib import Path

import pytest

from impls.contract import MODULES

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
TRAINING = ROOT / "docs" / "training.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page, language):
    """The code blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def linked(page):
    """What a page has links to, other places in itself left out."""
    return [path for path, _ in re.findall(r"\]\(([^)#]*)(#[^)]*)?\)", page.read_text(encoding="utf-8")) if path]


def test_ci_runs_the_test_command():
    _, test_command = blocks(README, "sh")[0].splitlines()
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1] == test_command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    paths = [path for path in linked(page) if not path.startswith(("http", "results/"))]  # results are generated
    assert [path for path in paths if not (page.parent / path).exists()] == []


def test_every_page_is_named_where_one_reads_on():
    """In the README, or in a page that it names."""
    links = [(page.parent / path).resolve() for page in (README, TRAINING) for path in linked(page)]
    assert [page.name for page in PAGES[1:] if page not in links] == []


def test_every_file_of_methods_is_listed():
    listed = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/methods.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted([*MODULES, "training"])


EXAMPLES = {"torch": "import torch", "jax": "import jax", "tensorflow": "import keras"}
# What runs here. A test of the reader's own is held by test_package.py, recipes (training-….md) by the tests of each
# framework's ecosystem.
OWN = [page for page in PAGES if not page.name.startswith("training-")]
RUN = {page: [each for each in blocks(page, "python") if "def test_" not in each] for page in OWN}


def test_every_framework_has_an_example_of_training_and_every_example_a_framework():
    found = {page.name: [owners(example) for example in examples] for page, examples in RUN.items()}
    assert all(len(names) == 1 for each in found.values() for names in each), found
    assert {name for (name,) in found["training.md"]} == set(EXAMPLES)


def owners(example):
    return [name for name, line in EXAMPLES.items() if line in example]


def test_examples_run(framework, bridge):
    for page, examples in RUN.items():
        for example in (each for each in examples if framework in owners(each)):
            exec(compile(example, page.name, "exec"), {"__name__": "example"})
