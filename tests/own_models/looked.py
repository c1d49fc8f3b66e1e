"""Looks at a file's model in this process, topic by topic: what a worker of `check` does."""

from pathlib import Path

import impls
from bench.check.statements import Section
from bench.check.topics import Topics
from bench.check.worker import DOUBLE
from equivalence.own_models import load

HERE = Path(__file__).parent
MODES = {"torch": ["eager"], "jax": ["jit"], "tensorflow": ["eager"]}


def looked(framework, name, *topics, quick=True):
    """The sections of a file of this folder, or of a path, by topic."""
    path = name if Path(name).is_absolute() else str(HERE / f"{name}.py")
    double, bridge = topics[0] in DOUBLE, impls.load(framework)
    own = load(framework, path, double=double)
    found = Topics(bridge, impls.methods(framework), own, quick=quick, modes=MODES[framework])
    return {topic: Section.read(found.look(topic)) for topic in topics}


def bad(section):
    """What a section says is wrong."""
    return " ".join(text for state, text in section.sentences if state == "bad")


def said(section):
    return " ".join(text for _, text in section.sentences)


def verdicts(section):
    """The verdicts of the derivatives by what they are and by which way."""
    return {(row["what"], row["way"]): row["verdict"] for row in section.numbers["rows"]}
