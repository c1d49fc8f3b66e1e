"""The first screen of the page: what was measured where, four answers with a picture each, and what to train with.

Each answer is that of the newest machine which has one, named beside it, and its picture is drawn from the records that
this machine's tables are made from.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bench.costs.cells import FLOAT32
from bench.proofs.mutants import KILLED, SURVIVED
from bench.records.schema import ClaimRecord, Environment
from bench.report import answers
from bench.report.answers import Answer
from bench.report.figures import CASE_LOOKS, INK, draw_order, is_curve, tile
from bench.report.tables import mistakes
from bench.report.tables.claims import main_case
from bench.report.tables.effects import ACCURACY, PLAIN, compared, effects_table, judged
from bench.report.tables.entries import BAD, GOOD, NONE, Entry, framed
from bench.report.tables.finetuning import unplanned
from bench.report.tables.outcomes import frameworks, of_kind
from bench.report.tables.paired import Compared, Runs, difference, differences, verdict
from bench.train.regimes import REGIMES
from bench.train.statistics import CONFIDENCE, Estimate, estimate, holm
from impls import FRAMEWORKS

JUDGED = {  # tables in which a bad entry is ours, and the heading that they stand below
    "claims": "Claims",
    "agreement": "Agreement with the oracle",
    "half_agreement": "Agreement in half precision",
    "priced": "Cost",
    "selfcheck": "Can the timer be believed?",
    "variations": "Variations of right implementations",
}
PROOF = "C2"  # the claim whose curve is shown: FGM is a gradient penalty
DOTS = ("noise", "fgm", "gradient_penalty", "jacobian_penalty", "vat", "freelb", "pgd-10")
COLOURS = {name: look[0] for name, look in zip(FRAMEWORKS, CASE_LOOKS, strict=False)}
KINDS = {"reviews": "texts", "digits": "images"}  # of data that can be downloaded with the project
CANDIDATES = 3
CANDIDATE_COLUMNS = (
    "labels", "framework", "candidate", "accuracy beside plain, points", "time of a step, × plain", "line to paste",
    "no difference shown to it",
)  # fmt: skip
LINES = {  # as each framework writes a one-liner: its arguments before the options
    "torch": ("step = {}(model, optimizer, loss, {})", '"embedding", '),
    "jax": ("objective = {}(f, loss, {})", '"embedding", '),
    "tensorflow": ("{}(model, {})", '"Embedding-Token", '),
}


@dataclass(frozen=True)
class Tile:
    """An answer in a sentence, its picture as SVG (empty: nothing to draw), and the heading that has the rest."""

    title: str
    heading: str
    answer: Answer
    picture: str


def tiles(machines: Sequence[Mapping[str, Any]], newest: Sequence[Answer]) -> list[Tile]:
    """Show what is proved, whether mistakes are rejected, what methods cost, and what they bring."""
    known = {answer.finding.question: answer for answer in newest}
    pictures: tuple[tuple[str, str, str, Callable[[Mapping[str, Any]], str]], ...] = (
        (answers.HOLDS, "Proved", "Claims", lambda each: draw_proof(each["records"])),
        (answers.NOTICED, "Mistakes rejected", "Planted mistakes", lambda each: draw_mistakes(each["records"])),
        (answers.COST, "Cost of a training step", "Cost", lambda each: draw_costs(each["cost"])),
        (
            answers.BRINGS,
            "Gain against cost",
            "What it does for a model",
            lambda each: draw_gains(each["records"], each["effects"]),
        ),
    )
    return [
        Tile(title, heading, known[question], draw(machines[known[question].place]))
        for question, title, heading, draw in pictures
    ]


def draw_proof(records: Iterable[Any]) -> str:
    """The residual of one claim against the step, in every framework, with the law that theory states."""
    found = [r for r in of_kind(records, ClaimRecord) if r.claim == PROOF and r.status == "ok" and not r.wrong]
    case = main_case(found) if found else ""
    curves = {
        record.framework: part
        for record in found
        if record.case == case
        for part in [part for part in record.parts.values() if is_curve(part)][:1]
    }
    if not curves:
        return ""

    def draw(ax: Axes) -> None:
        draw_order(ax, curves)
        ax.legend(loc="lower right", fontsize=7)
        ax.set_ylabel("FGM − gradient penalty")

    return tile("What is left over of FGM as a gradient penalty, against the radius", draw)


def draw_mistakes(records: Iterable[Any]) -> str:
    """How many planted mistakes each claim rejects by its numbers, in each framework."""
    known = mistakes.what_became(records)
    order = mistakes.checks(known.values())
    names = frameworks(mistakes.of_mistakes(records))
    if not order:
        return ""
    counts: Counter[tuple[str, str]] = Counter()
    survived: Counter[str] = Counter()
    for (_, framework), row in known.items():
        counts.update((framework, claim) for claim, what in row.items() if what == KILLED)
        survived[framework] += mistakes.strongest(row) == SURVIVED
    grid = np.array([[counts[name, claim] for claim in order] for name in names], float)

    def draw(ax: Axes) -> None:
        ax.pcolormesh(np.log1p(grid), cmap="Greens", edgecolors=INK, linewidth=0.2, vmin=0)
        ax.set_yticks(np.arange(len(names)) + 0.5, [f"{name}\n{survived[name]} survive" for name in names])
        ax.set_xticks(np.arange(len(order))[::4] + 0.5, order[::4], fontsize=7)
        ax.set_xlabel("claim; the darker, the more of them it rejects")
        ax.invert_yaxis()

    return tile("Planted mistakes that each claim rejects, a row a framework", draw)


def draw_costs(table: pd.DataFrame) -> str:
    """A dot a workload and mode: a method's step in plain steps, coloured by framework, with the milliseconds."""
    ratios = table["× plain"].map(lambda entry: entry.number).astype(float)
    table = table.assign(ratio=ratios)[np.isfinite(ratios) & (table["dtype"] == FLOAT32)]
    methods = [name for name in DOTS if (table["method"] == name).any()]
    if not methods:
        return ""

    def draw(ax: Axes) -> None:
        for row, method in enumerate(methods):
            own = table[table["method"] == method]
            for place, (name, colour) in enumerate(COLOURS.items()):
                dots = own["ratio"][own["framework"] == name]
                ax.plot(dots, [row + (place - 1) * 0.22] * len(dots), ".", color=colour, label=name if not row else "")
            took = [each for each in own["ms a step"].map(lambda entry: entry.number) if each == each]
            if took:
                ax.text(1.02, row, spread_ms(took), transform=ax.get_yaxis_transform(), va="center", fontsize=7)
        ax.set_yticks(range(len(methods)), methods)
        ax.invert_yaxis()
        ax.set(xscale="log", xlabel="plain training steps")
        ticks = [tick for tick in (1, 2, 3, 5, 10, 20) if tick <= 1.3 * table["ratio"].max()]
        ax.set_xticks(ticks, [str(tick) for tick in ticks])
        ax.grid(axis="x")
        ax.legend(loc="upper right", fontsize=7)

    return tile("Cost of methods in plain training steps", draw)


def spread_ms(took: Sequence[float]) -> str:
    return f"{min(took):.2g}–{max(took):.3g} ms" if len(took) > 1 else f"{took[0]:.3g} ms"


def draw_gains(records: Sequence[Any], table: pd.DataFrame) -> str:
    """Each way to train: what it adds to plain training's accuracy, with its interval, against the time of its step."""
    prices = {tuple(row[:3]): row[3].number for row in table[["data set", "framework", "regime", "× plain"]].values}
    sets: dict[str, list[tuple[float, Estimate]]] = {}
    for (data, framework), regimes in judged(records).items():
        for name, runs in regimes.items():
            gain = estimate(differences(runs, regimes.get(PLAIN, {})))
            price = prices.get((data, framework, name), float("nan"))
            if name != PLAIN and gain.high == gain.high and price == price:
                sets.setdefault(data, []).append((price, gain))
    if not sets:
        return ""

    def draw(ax: Axes) -> None:
        for (name, found), (colour, marker) in zip(sets.items(), CASE_LOOKS * len(sets), strict=False):
            means = np.array([100 * gain.mean for _, gain in found])
            halves = np.array([100 * (gain.high - gain.mean) for _, gain in found])
            ax.errorbar(
                [price for price, _ in found], means, yerr=halves, label=name, color=colour, marker=marker,
                markersize=3, linewidth=0.7, linestyle="none",
            )  # fmt: skip
        ax.axhline(0, color=INK, linewidth=0.8)
        ax.set(xlabel="time of a step, × plain", ylabel="accuracy, points")
        ax.grid()
        ax.legend(fontsize=7, ncols=2)

    return tile("Gain in accuracy over plain training against cost, a point a way to train", draw)


@dataclass(frozen=True)
class Line:
    """What the numbers are of, in one line; how many entries are bad, and the heading of the first table with one."""

    text: str
    wrong: int
    heading: str


def line(name: str, records: Iterable[Any], places: Mapping[str, Environment], shown: Mapping[str, Any]) -> Line:
    """Versions, processor, commit and date of the environment that made most records."""
    counts = Counter(record.environment for record in records if record.environment in places)
    bad = {heading: count_bad(shown[table]) for table, heading in JUDGED.items()}
    first = next((heading for heading, count in bad.items() if count), "")
    if not counts:
        return Line(name, sum(bad.values()), first)
    place = places[counts.most_common(1)[0][0]]
    versions = [f"{each} {place.packages[each]}" for each in (*FRAMEWORKS, "tensorflow-cpu") if each in place.packages]
    last = max(record.time[:10] for record in records)
    facts = (*versions, f"{place.cpu}, {place.cores} cores", f"commit {place.commit or 'unknown'}", last)
    return Line(" · ".join(facts), sum(bad.values()), first)


def count_bad(table: pd.DataFrame) -> int:
    return sum(getattr(entry, "state", "") == BAD for row in table.itertuples(index=False) for entry in row)


def candidates(records: Sequence[Any]) -> pd.DataFrame:
    """For each data set what to try: what gains most, and of what cannot be told apart from it what costs least.

    Of the study whose table is shown: what a plan compares is a family of its own.
    """
    records = unplanned(records)
    found = judged(records)
    gains: dict[tuple[str, str], dict[str, Compared]] = {}
    for each in compared(records):
        if (each.comparison.beside, each.comparison.measure) == (PLAIN, ACCURACY):
            gains.setdefault((each.dataset, each.framework), {})[each.comparison.regime] = each
    known = effects_table(records)
    prices = {tuple(row[:3]): row[3] for row in known[["data set", "framework", "regime", "× plain"]].values}
    rows = []
    for (data, measured), own in gains.items():
        regimes = found[data, measured]
        chosen, alike = choose(own, regimes, {name: prices.get((data, measured, name), NONE) for name in regimes})
        for framework in FRAMEWORKS:
            for regime in chosen:
                strength = next(iter(regimes[regime].values())).strength
                others = ", ".join(name for name in alike if name != regime) or NONE
                cost = Entry(f"{prices.get((data, measured, regime), NONE)} in {measured}")
                pasted = write_line(framework, regime, strength, data)
                rows.append((name_data(data), framework, regime, difference(own[regime]), cost, pasted, others))
    return framed(rows, CANDIDATE_COLUMNS)


def name_data(data: str) -> str:
    """Say how many labels of what a data set has: reviews-200 are 200 texts."""
    kind, _, count = data.partition("-")
    return f"{count} {KINDS[kind]} ({kind})" if kind in KINDS and count else data


def choose(
    gains: Mapping[str, Compared], regimes: Mapping[str, Runs], prices: Mapping[str, Entry]
) -> tuple[list[str], list[str]]:
    """The candidates, and everything that no difference to the first is shown of; nothing where nothing is better."""
    better = [name for name, gain in gains.items() if verdict(gain).state == GOOD]
    if not better:
        return [], []
    best = max(better, key=lambda name: gains[name].found.mean)
    apart = holm({n: estimate(differences(regimes[n], regimes[best])).p for n in better if n != best})
    alike = [name for name, p in apart.items() if not p <= 1 - CONFIDENCE]
    cheap = sorted(alike, key=lambda name: prices[name].number)
    return [best, *cheap[: CANDIDATES - 1]], [best, *alike]


def write_line(framework: str, regime: str, strength: float, data: str) -> str:
    """The line of a training with it, where there is one; else where its method is described."""
    wrapper = REGIMES[regime].wrapper if regime in REGIMES else None
    if wrapper is None:
        return "an objective of your own: docs/methods.md"
    form, place = LINES[framework]
    at = place if KINDS.get(data.partition("-")[0]) == "texts" and wrapper.function == "adversarial_training" else ""
    options = {wrapper.option: strength, **wrapper.options}
    return form.format(wrapper.function, at + ", ".join(f"{name}={value!r}" for name, value in options.items()))


@dataclass(frozen=True)
class Advice:
    """Candidates of the newest machine that has some, and where they were measured."""

    table: pd.DataFrame
    measured: str


def advise(machines: Sequence[Mapping[str, Any]], newest: Sequence[Answer]) -> Advice:
    """Say what to train with, by the machine that answers what it brings."""
    [answer] = [each for each in newest if each.finding.question == answers.BRINGS]
    return Advice(candidates(machines[answer.place]["records"]), answer.measured)


def first_screen(machines: Sequence[Mapping[str, Any]], newest: Sequence[Answer]) -> dict[str, Any]:
    """All of it, for the template; a line a machine stands in its section."""
    return {"tiles": tiles(machines, newest), "advice": advise(machines, newest)}
