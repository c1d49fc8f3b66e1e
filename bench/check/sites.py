"""What can be perturbed, with a radius to start from at each place, and why that one."""

from collections.abc import Callable

import numpy as np

from bench.check.lines import Line
from bench.check.radius import carry, row_norms
from bench.check.statements import GOOD, OPEN, Section
from equivalence.own_models import Place

LARGEST = 0.1  # of the norm of what is perturbed
USUAL = "the radius up to which the first order carries 90 %"


def look(places: list[Place], line: Callable[[Place], Line]) -> Section:
    """A row a place, of which `line` gives the problem."""
    section = Section("What can be perturbed")
    section.columns = ["place", "what it is", "norm", "gradient's norm", "radius to start from", "why"]
    for place in places:
        try:
            one(section, line(place), place)
        except Exception as error:
            section.add(OPEN, place.title, place.note, "", "", "none", f"{type(error).__name__}: {error}"[:160])
    if not places:
        section.say(OPEN, "Nothing here is floating point, and no embedding was found: name an output of a module.")
    return section


def one(section: Section, line: Line, place: Place) -> None:
    found = carry(line)
    norm = found["norm"]
    if place.kind == "table":
        norm = float(np.median(row_norms(line.x[0].astype(float))))
    radius, why = suggest(found, norm, place)
    section.numbers[f"{place.kind} {place.name}"] = {
        "radius": radius, "norm": norm, "kind": place.kind, "name": place.name,
        **{name: found[name] for name in ("10 % lost", "50 % lost", "gradient norm")},
    }  # fmt: skip
    state = GOOD if radius else OPEN
    section.add(
        state, place.title, place.note, f"{norm:.3g}" + (" a row" if place.kind == "table" else ""),
        f"{found['gradient norm']:.2g}", f"{radius:.2g}" if radius else "none", why,
    )  # fmt: skip


def suggest(found: dict, norm: float, place: Place) -> tuple[float, str]:
    """A radius, and why."""
    if found["gradient norm"] == 0:
        return 0.0, "the loss does not depend on it"
    if not found["radii"]:
        return 0.0, "rounding hides what any radius does"
    most = (1.0 if place.kind == "table" else LARGEST) * norm
    limit = "the norm of a row of the table" if place.kind == "table" else f"{LARGEST:.0%} of its norm"
    first = found["10 % lost"]
    if first is not None and first <= most:
        return rounded(first), f"{USUAL}: {first / norm:.1%} of its norm" + (" a row" if place.kind == "table" else "")
    return rounded(
        most
    ), f"{limit}; the first order carries 90 % up to {first:.2g}" if first else f"{limit}; the loss is linear"


def rounded(number: float) -> float:
    """Two digits: a start, not a result."""
    return float(f"{number:.2g}")
