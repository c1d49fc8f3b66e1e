"""A file is looked at in two processes: in float64 what is exact, and as it is what its own precision and time are."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.check import advice, cost, worker
from bench.check.statements import OPEN, Section
from bench.proofs.implementation import BadImplementation, source
from bench.proofs.verify import environment
from bench.running.job import Job, Outcome
from equivalence.own_models import framework_of
from impls.frameworks import DESCRIBED

WORKER = "bench.check.worker"
LIMITS = (300.0, 3600.0)  # seconds of processor time a topic, quick and thorough
ORDER = ("derivatives", "samples", "radius", "precision", "curvature", "places", "cost")
KNOWN = (".keras", ".pt2", ".pt", ".pth", ".safetensors", ".bin", ".ckpt")


class Unusable(Exception):
    """Why a file cannot be looked at: what is wrong, where, and what to do."""


@dataclass
class Report:
    """What was found of one file.

    Args:
        path: the file.
        framework: its framework.
        sections: by topic, in the order of the report.
        advice: the line to paste.
        about: idiom, dtype and mode of the model, and remarks on how it was read.
        seconds: of processor time.
    """

    path: str
    framework: str
    sections: dict[str, Section] = field(default_factory=dict)
    advice: Section = field(default_factory=lambda: Section("The line to paste"))
    about: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def bad(self) -> bool:
        """Whether a derivative or a method is wrong on this model."""
        return any(section.bad for section in self.sections.values())

    def told(self) -> str:
        """As JSON."""
        found = {"path": self.path, "framework": self.framework, "right": not self.bad, **self.about}
        found |= {
            "seconds": self.seconds,
            "sections": {name: section.told() for name, section in self.sections.items()},
        }
        return json.dumps(found | {"advice": self.advice.told()}, indent=1) + "\n"


def checked_path(path: Path) -> Path:
    """The file or folder, if it is one that can be looked at; found out without running any of it."""
    if not path.exists():
        raise Unusable(f"{path}: there is no such file or folder")
    if path.is_dir() or path.suffix in KNOWN:
        return path.resolve()
    if path.suffix != ".py":
        raise Unusable(
            f"{path}: expected a Python file (.py) that defines `model`, `loss` and `batch`, a Hugging Face folder, a"
            " Keras file (.keras) or an exported program (.pt2). `python -m bench check --template torch` prints one to"
            " start from"
        )
    try:
        return source(path)
    except BadImplementation as error:
        raise Unusable(str(error)) from None


def chosen_framework(path: Path, asked: str) -> str:
    """The framework of a file: what was asked for, or what it imports."""
    if found := asked or framework_of(path):
        return found
    raise Unusable(
        f"{path}: imports several frameworks or none: say which one it is of, --framework torch, jax or tensorflow"
    )


def jobs(path: Path, framework: str, quick: bool) -> list[Job]:
    """One for float64, one for the model as it is."""
    limit = LIMITS[not quick]
    arguments = {"device": "cpu", "path": str(path), "quick": quick, "modes": modes(framework, quick)}
    planned = []
    for double, topics in ((True, worker.DOUBLE), (False, worker.AS_IT_IS)):
        given = arguments | {"double": double} | ({"environment": environment()} if double else {})
        tasks = [["topic", topic] for topic in topics]
        planned.append(Job(WORKER, framework, given, tasks, limit, processor_time=True))
    return planned


def modes(framework: str, quick: bool) -> list[str]:
    """In which a step is timed: the quick one, or all."""
    described = DESCRIBED[framework]
    return [described.quick_mode] if quick else list(described.timed_modes)


def assembled(path: Path, framework: str, outcomes: Iterable[Outcome], seconds: float) -> Report:
    """The report of what workers found.

    Raises:
        Unusable: every topic says the same of the file: it cannot be read, or run.
    """
    by_topic = {outcome.task[1]: outcome for outcome in outcomes}
    good = {topic: Section.read(outcome.result) for topic, outcome in by_topic.items() if outcome.status == "ok"}
    if not good:
        reasons = list(dict.fromkeys(outcome.reason for outcome in by_topic.values()))
        raise Unusable(f"{path}: {reasons[0]}")
    report = Report(str(path), framework, seconds=seconds)
    if "lines" not in good:
        report.advice.say(OPEN, f"No line can be given: {by_topic['lines'].reason}")
    for topic in ORDER:
        report.sections[topic] = good.get(topic) or failed(topic, by_topic[topic])
    samples = report.sections["samples"].numbers
    report.about = {name: samples.get(name) for name in ("idiom", "training", "dtype", "place", "samples")}
    report.about["remarks"] = remarks(report.sections.values())
    cost.advise(report.sections["cost"], advice.ways_of(report.sections["derivatives"]))
    if "lines" in good:
        found = good["lines"].numbers
        titled = {section.title: section for section in report.sections.values()}
        report.advice = advice.look(titled, found["lines"], found["place"], radius_of(report))
    return report


def remarks(sections: Iterable[Section]) -> list[str]:
    """What is to be known of how the file was read, in either process."""
    return list(dict.fromkeys(text for section in sections for text in section.numbers.get("remarks", [])))


def failed(topic: str, outcome: Outcome) -> Section:
    """A topic that could not be measured, with the reason."""
    section = Section(topic.capitalize())
    section.say(OPEN, f"This could not be looked at ({outcome.status}): {outcome.reason}")
    return section


def radius_of(report: Report) -> float:
    """The radius that is suggested at the place that everything is measured at."""
    places = report.sections["places"].numbers
    return float(next(iter(places.values()))["radius"]) if places else 0.0
