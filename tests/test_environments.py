"""Every environment of tox.ini can be made: each group that it names is one of pyproject.toml's.

tox itself says so only when the environment is run, and where these tests run it is not installed. So its file is read
here by the same rules: names in braces are expanded, a line counts where the factors before its colon match the name,
and a value of several lines has one item a line, whatever commas there are in it.
"""

import configparser
import itertools
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GROUPS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
OPTION = "dependency_groups"
CONDITION = re.compile(r"^((?:!?[\w.]+)(?:[-,]!?[\w.]+)*):\s+")


def sections(text):
    """The values of each environment of a tox.ini, by the environment's name."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    found = {}
    for title in parser.sections():
        if title.startswith("testenv:"):
            found |= dict.fromkeys(expand(title.removeprefix("testenv:")), parser[title])
    return found


def expand(name):
    """The names that a name with alternatives in braces stands for."""
    parts = [part.split(",") for part in re.split(r"[{}]", name)]
    return ["".join(chosen) for chosen in itertools.product(*parts)]


def items(name, value):
    """The items of a list, as the environment of that name has them."""
    lines = [line for line in value.splitlines() if line.strip()]
    if len(lines) == 1:
        lines = lines[0].split(",")
    found = []
    for line in map(str.strip, lines):
        condition = CONDITION.match(line)
        if not condition or applies(condition[1], name):
            found.append(line[condition.end() if condition else 0 :].strip())
    return found


def applies(condition, name):
    """Whether the factors of a condition match a name: any of those that commas part, all of those that dashes join."""
    factors = set(name.split("-"))
    return any(
        all((factor.removeprefix("!") in factors) != factor.startswith("!") for factor in alternative.split("-"))
        for alternative in condition.split(",")
    )


def complaints(text):
    """What tox would refuse in a tox.ini, by environment."""
    return [
        f"{name}: dependency group {group!r} not found"
        for name, section in sections(text).items()
        for group in items(name, section.get(OPTION, ""))
        if group not in GROUPS
    ]


def test_every_group_of_every_environment_is_there():
    assert complaints((ROOT / "tox.ini").read_text(encoding="utf-8")) == []


def test_what_runs_by_default_has_an_environment():
    text = (ROOT / "tox.ini").read_text(encoding="utf-8")
    listed = re.search(r"^env_list = (.*)$", text, re.MULTILINE)[1]
    names = [name for part in re.split(r",\s+", listed) for name in expand(part)]
    assert names and set(names) <= sections(text).keys()


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("\n    torch: torch, peers-torch\n    data", ["peers-torch: dependency group 'torch, peers-torch' not found"]),
        ("\n    !jax: torhc", ["peers-torch: dependency group 'torhc' not found"]),
        ("torch, peers-torch", []),
        ("\n    torch: torch\n    jax: nowhere\n    data", []),
    ],
)
def test_what_tox_refuses_is_found(value, wrong):
    assert complaints(f"[testenv:peers-torch]\n{OPTION} = {value}\n") == wrong
