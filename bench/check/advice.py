"""The line to paste, with the values that were found, and what it will not do for this model."""

from typing import Any

from bench.check.statements import GOOD, OPEN, Section

HOW = {"double backward": "", "forward over reverse": "forward_over_reverse", "finite difference": "finite_difference"}
WRONG = ("wrong", "zero", "raises", "not for this model")


def look(sections: dict[str, Section], lines: dict[str, str], place: str, radius: float) -> Section:
    """What follows from the other sections."""
    section = Section("The line to paste")
    ways = ways_of(sections.get("Derivatives"))
    rest = limits(sections, ways, place)
    if radius and ways.get("fgm", "right") not in WRONG:
        section.say(GOOD, lines["import"].replace("METHOD", "adversarial"))
        section.say(GOOD, lines["fgm"].replace("RADIUS", f"{radius:.2g}"))
        section.numbers |= {"line": lines["fgm"].replace("RADIUS", f"{radius:.2g}"), "radius": radius}
    if way := penalty_way(sections, ways):
        option = f', how="{HOW[way]}"' if HOW[way] else ""
        penalty = lines["gradient penalty"].replace("WEIGHT", f"{radius:.2g}").replace("HOW", option)
        norm = penalty[:-1] + ', norm="l2")'
        section.say(GOOD, f"or, the same to first order: {norm}")
        section.numbers["penalty"] = norm
    else:
        section.say(
            OPEN,
            "No gradient penalty is offered for this model: its ways are wrong here, refused, or cannot be decided.",
        )
    for sentence in rest:
        section.say(OPEN, sentence)
    return section


def ways_of(derivatives: Section | None) -> dict[str, str]:
    """What became of each method's way."""
    rows = derivatives.numbers.get("rows", []) if derivatives else []
    return {row["method"]: row["verdict"] for row in rows if row["method"]}


def penalty_way(sections: dict[str, Section], ways: dict[str, str]) -> str:
    """The quickest way to the penalty that is right; nothing where none is."""
    right = [way for way in HOW if ways.get(f"gradient penalty, {way}") == "right"]
    cost = sections.get("Cost")
    if not cost or not cost.rows:
        return right[0] if right else ""
    # A way that was not timed is one that the one-liner refuses on this model.
    timed = [order for name, order in cost.numbers.items() if name.endswith("quickest penalty")]
    return next((way for order in timed for way in order if way in right), "")


def limits(sections: dict[str, Section], ways: dict[str, str], place: str) -> list[str]:
    """What it will not do, in sentences."""
    found = []
    samples = sections.get("Samples")
    numbers: dict[str, Any] = samples.numbers if samples else {}
    if numbers.get("coupled"):
        found.append("It does not make samples independent: each one's perturbation is chosen for the loss of all.")
    if numbers.get("one number"):
        found.append('It refuses norm="raw" and gradient penalties as long as the loss is one number for the batch.')
    if place.startswith("the output"):
        found.append(
            "It does not bound what a token can become: it moves what the layer returns, off the table's rows."
        )
    for method, verdict in ways.items():
        if verdict in WRONG and method not in ("fgm", "plain"):
            found.append(f"Not for this model: {method} ({verdict}).")
    radius = sections.get("Radius")
    if radius and radius.numbers.get("10 % lost") is None:
        found.append("It adds nothing that a penalty on ‖g‖ does not: the loss is linear along its gradient.")
    return found
