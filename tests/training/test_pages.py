"""The pages about training in each framework: their rows are tests, and PyTorch's recipes are loops that are tested."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs"
PAGES = {"torch": "training-torch.md", "jax": "training-jax.md", "tensorflow": "training-keras.md"}
ROWS = {"torch": 60, "jax": 30, "tensorflow": 45}


@pytest.mark.parametrize("name", PAGES)
def test_every_row_of_a_page_is_a_test(name):
    named = set(re.findall(r"`(test_\w+)`", (DOCS / PAGES[name]).read_text(encoding="utf-8")))
    files = [*(TESTS / "training" / name).glob("test_*.py"), *TESTS.glob(f"test_{name}_*.py")]
    tests = set(re.findall(r"^def (test_\w+)\(", "\n".join(map(source, files)), re.MULTILINE))
    assert len(named) >= ROWS[name]
    assert named - tests == set()


def test_recipes_are_the_loops_that_are_tested():
    lines = {line.strip() for line in source(TESTS / "training" / "torch" / "test_ecosystem.py").splitlines()}
    recipes = re.findall(r"```python\n(.*?)```", (DOCS / PAGES["torch"]).read_text(encoding="utf-8"), re.DOTALL)
    assert len(recipes) == 6
    for recipe in recipes:
        used = [line.strip() for line in recipe.splitlines() if line.strip()]
        assert len(used) <= 15 and [line for line in used if line not in lines] == []


def source(path):
    return path.read_text(encoding="utf-8")
