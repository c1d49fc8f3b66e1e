"""Planted mistakes as files of someone else's, through the front door: a quick run and a whole one end alike.

A mistake of every other family is written as a file, another one in each framework. It takes some minutes and is a test
of its own: `python -m pytest tests/planted_as_files.py`.
"""

import itertools
import random

import pytest
from typer.testing import CliRunner

import impls
from bench.commands.app import app
from equivalence.foreign.loading import stubs
from equivalence.mutant import published

FILE = """
import impls
from equivalence.mutant import mutants

mistake = mutants()[{name!r}]
globals().update(mistake.replace(impls.methods({framework!r}), impls.load({framework!r})))
"""


def chosen(framework):
    """The names of one mistake of every other family, drawn with the framework's name as the seed."""
    draw = random.Random(framework)
    offered = [mutant for mutant in published() if mutant.methods <= set(stubs())]  # training's are no functions
    possible = sorted((mutant.family, mutant.name) for mutant in offered if framework not in mutant.impossible)
    by_family = [[name for _, name in own] for _, own in itertools.groupby(possible, key=lambda pair: pair[0])]
    return [draw.choice(names) for names in by_family[impls.FRAMEWORKS.index(framework) % 2 :: 2]]


def pytest_generate_tests(metafunc):
    if "planted_in" in metafunc.fixturenames:
        own = [(framework, name) for framework in impls.FRAMEWORKS for name in chosen(framework)]
        metafunc.parametrize("planted_in", own, ids=[" ".join(pair) for pair in own])


def test_a_planted_mistake_ends_alike_as_a_file(planted_in, framework, tmp_path):
    """Wrong, or refused before it is called where its options are not the contract's; and never right."""
    own, name = planted_in
    if own != framework:
        pytest.skip(f"drawn for {own}")
    file = tmp_path / "own.py"
    file.write_text(FILE.format(name=name, framework=framework))
    command = ["verify", "--framework", framework, "--impl", str(file), "--out", str(tmp_path)]
    whole, quick = (CliRunner().invoke(app, [*command, *pace]) for pace in ([], ["--quick"]))
    assert whole.exit_code == quick.exit_code != 0, f"{whole.output}\n{quick.output}"
