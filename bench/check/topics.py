"""The topics of a report, each measured on one model in one process; what several need is found once."""

import functools
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from bench.check import cost, curvature, derivatives, layers, radius, samples, sites
from bench.check.derivatives import Derivatives, Row
from bench.check.lines import Line
from bench.check.statements import BAD, GOOD, OPEN, Section
from equivalence.own_models import OwnModel, Place

MOST_PLACES = (6, 24)  # quick, thorough


class Topics:
    """One model in one process."""

    def __init__(self, bridge: ModuleType, methods: SimpleNamespace, own: OwnModel, *, quick: bool, modes: list[str]):
        self.bridge, self.methods, self.own, self.quick, self.modes = bridge, methods, own, quick, modes
        self.lines: dict[tuple[str, bool], Line] = {}

    @functools.cached_property
    def places(self) -> list[Place]:
        return self.own.places()[: MOST_PLACES[not self.quick]]

    @functools.cached_property
    def main(self) -> Place:
        """The place that everything is measured at."""
        if not self.places:
            raise ValueError(
                "batch: got nothing that can be perturbed, expected floating-point inputs, or a model with an embedding"
            )
        return self.places[0]

    def line(self, place: Place, *, by_sample: bool = False) -> Line:
        """The problem at a place, which all topics share with what they have compiled of it.

        by_sample: with logits a sample also where the loss is one number for the batch.
        """
        key = place.title, by_sample and self.own.one_number
        if key not in self.lines:
            self.lines[key] = Line(self.bridge, self.own.problem(place, by_sample=key[1]), self.own.dtype)
        return self.lines[key]

    def look(self, topic: str) -> dict[str, Any]:
        """One topic, as plain lists and dicts."""
        section: Section = TOPICS[topic](self)
        if topic in ("samples", "derivatives"):  # one in each process, which read the file each in its own way
            section.numbers["remarks"] = self.own.remarks
        if topic == "samples":
            section.numbers |= {"idiom": self.own.idiom, "training": self.own.training}
            section.numbers |= {"dtype": self.own.dtype, "place": self.main.title}
        return section.told()

    def measure_samples(self) -> Section:
        return samples.look(self.own, self.bridge.to_numpy)

    @functools.cached_property
    def coupled(self) -> bool:
        section = Section("")
        samples.dependence(self.own, self.bridge.to_numpy, section)
        return bool(section.numbers["coupled"])

    def measure_derivatives(self) -> Section:
        """Every derivative by every way; of those that are wrong, the layer that makes them."""
        section = Section("Derivatives")
        section.columns = ["derivative", "by", "verdict", "off by", "trusted to"]
        own = self.own
        rows: list[tuple[str, Row]] = []
        for seed in range(1 if self.quick else 3):
            looked = Derivatives(
                self.methods, self.line(self.main).along(seed), quick=self.quick,
                coupled=self.coupled and not own.one_number,
            )  # fmt: skip
            measured = [(name, looked.row(name)) for name in derivatives.ROWS]
            rows = (
                measured
                if not rows
                else [max(pair, key=lambda each: each[1].bad) for pair in zip(rows, measured, strict=True)]
            )
        section.numbers["rows"] = [derivatives.told(row) for _, row in rows]
        section.numbers["place"] = self.main.title
        for _, row in rows:
            state = OPEN if row.verdict in ("raises", "undecided", "not for this model") else GOOD
            state = state if not row.bad else OPEN if row.own else BAD
            digits = [f"{number:.1e}" if np.isfinite(number) else "" for number in (row.off, row.trusted)]
            section.add(state, row.what, row.way, row.verdict, *digits)
        self.say_blame(section, rows)
        section.say_reasons([(f"{row.what} by {row.way}", row.reason) for _, row in rows if row.reason])
        return section

    def say_blame(self, section: Section, rows: list[tuple[str, Row]]) -> None:
        """One sentence for each place that makes something wrong."""
        bad = [(name, row) for name, row in rows if row.bad]
        good = sum(row.verdict == "right" for _, row in rows if not row.own)
        every = sum(not row.own for _, row in rows)
        if not any(not row.own for _, row in bad):
            more = "" if good == every else ": the others refuse, or cannot be decided, as the table says"
            said = f"{good} of {every} derivatives by these methods are right at {self.main.title}"
            section.say(GOOD if good else OPEN, f"{said}, none is silently wrong{more}.")
        told: dict[tuple[bool, str], list[Row]] = {}
        for name, row in bad:
            known = next((key for key in told if key[0] == row.own), None)
            if known is None:
                blame = layers.find(self.bridge, self.methods, self.own, name, self.own.dtype, self.own.framework)
                words = blame.words() if blame else "no part by itself: the model's own code between its parts"
                known = row.own, words
                blamed = {"row": name, "layer": blame.name if blame else "", "words": words}
                section.numbers.setdefault("blame", []).append(blamed)
            told.setdefault(known, []).append(row)
        for (own, words), found in sorted(told.items()):
            what = "; ".join(f"{row.what} by {row.way}{' (NaN)' if np.isnan(row.found) else ''}" for row in found)
            if own:
                section.say(
                    OPEN, f"Wrong, but not relied on by the methods here: {what}. What makes it wrong: {words}."
                )
            else:
                section.say(BAD, f"Wrong: {what}. What makes it wrong: {words}.")

    def measure_radius(self) -> Section:
        return radius.look(self.methods, self.line(self.main), self.main.title, self.quick)

    def measure_curvature(self) -> Section:
        line = self.line(self.main, by_sample=True)
        return curvature.look(self.methods, line, self.main.title, self.quick, self.coupled)

    def measure_places(self) -> Section:
        return sites.look(self.places, self.line)

    def measure_precision(self) -> Section:
        """What this dtype sees: the smallest radius, and where a finite difference finds a direction."""
        section, line = Section("Precision"), self.line(self.main)
        size = float(np.median(radius.row_norms(line.x.astype(float)))) or 1.0
        seen, rounding = radius.smallest_seen(line, size)
        section.numbers = {"smallest radius": seen, "rounding of x": rounding, "dtype": line.dtype}
        if seen is None:
            section.say(OPEN, f"In {line.dtype} no radius shows the first order to within 10 %.")
        else:
            said = f"In {line.dtype} the smallest radius whose effect is seen to within 10 % is {seen:.2g}"
            section.say(GOOD, f"{said}; x itself rounds by {rounding:.1g}.")
        by_sample = self.line(self.main, by_sample=True)
        if by_sample.problem.logits is not None:
            found = curvature.window(self.methods, by_sample)
            section.numbers["xi"] = found
            if found["from"] is None:
                section.say(
                    OPEN, 'In no ξ does a finite difference find the direction: use how="fisher", which has none.'
                )
            else:
                section.say(
                    GOOD, f"ξ from {found['from']:.1g} to {found['to']:.1g} gives VAT's direction to a cosine above"
                    f" {curvature.WINDOW} in every sample (ξ=None: {found['default']:.4f}).",
                )  # fmt: skip
        return section

    def measure_cost(self) -> Section:
        line = self.line(self.main)
        size = float(np.median(radius.row_norms(line.x.astype(float)))) or 1.0
        classifies = self.line(self.main, by_sample=True).problem.logits is not None
        return cost.look(line, self.own, self.main, 0.01 * size, self.modes, self.quick, classifies)

    def measure_lines(self) -> Section:
        """What to paste, with names in the place of numbers."""
        section = Section("lines")
        section.numbers = {"lines": self.own.lines(self.main, "RADIUS", "WEIGHT"), "place": self.main.title}
        return section


TOPICS = {
    "samples": Topics.measure_samples,
    "derivatives": Topics.measure_derivatives,
    "radius": Topics.measure_radius,
    "precision": Topics.measure_precision,
    "curvature": Topics.measure_curvature,
    "places": Topics.measure_places,
    "cost": Topics.measure_cost,
    "lines": Topics.measure_lines,
}
