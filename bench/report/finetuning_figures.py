"""Planned comparisons as SVG text: each seed's paired difference with the mean's interval, and curves over labels."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from bench.report.figures import CASE_LOOKS, INK, svg
from bench.report.tables.finetuning import WORDS, Measured, measured
from bench.report.tables.paired import IN_NATS
from bench.train.statistics import estimate

SCATTER = 0.06  # of a row, between one seed and the next: points of one difference would hide each other


def finetuning_figures(records: Iterable[Any]) -> dict[str, str]:
    """SVG by file name: one a plan and data set, and one a corpus with several numbers of labels."""
    grouped: dict[tuple[str, str], list[Measured]] = {}
    for each in measured(records):
        grouped.setdefault((each.plan, each.dataset), []).append(each)
    found = {f"planned-{plan}-{data}.svg": paired_figure(plan, data, own) for (plan, data), own in grouped.items()}
    for corpus, runs in accuracies(grouped).items():
        found[f"planned-labels-{corpus}.svg"] = labels_figure(corpus, runs)
    return found


def paired_figure(plan: str, data: str, found: Sequence[Measured]) -> str:
    """A panel a measure, a row a comparison, a point a seed."""
    names = list(dict.fromkeys(each.comparison.measure for each in found))
    rows = list(dict.fromkeys(title(each) for each in found))

    def draw(axes: Sequence[Axes]) -> None:
        for ax, measure in zip(axes, names, strict=True):
            scale, unit = (1, "nats") if measure in IN_NATS else (100, "points")
            for each in found:
                if each.comparison.measure == measure:
                    draw_differences(ax, each, rows.index(title(each)), scale)
            ax.axvline(0, color=INK, linewidth=0.8)
            ax.set(
                xlabel=f"{WORDS[measure]}, {unit}", yticks=range(len(rows)), yticklabels=rows if ax is axes[0] else []
            )
            ax.set_ylim(len(rows) - 0.5, -0.5)  # the first on top
            ax.grid(axis="x")

    return svg(f"Plan {plan}, {data}: paired differences, a point a seed, means with 95 % intervals", len(names), draw)


def title(each: Measured) -> str:
    return f"{each.comparison.regime}\n– {each.comparison.beside}"


def draw_differences(ax: Axes, each: Measured, row: int, scale: float) -> None:
    values = np.array(each.differences)
    places = row + 0.12 + SCATTER * (np.arange(len(values)) % 4)
    ax.plot(scale * values, places, "o", color=CASE_LOOKS[1][0], markersize=3, alpha=0.7)
    found = each.found
    half = found.high - found.mean if found.high == found.high else 0.0
    ax.errorbar(
        [scale * found.mean], [row - 0.1], xerr=[scale * half], color=CASE_LOOKS[0][0], marker="D", markersize=4
    )


def accuracies(grouped: dict[tuple[str, str], list[Measured]]) -> dict[str, dict[str, dict[int, list[float]]]]:
    """By corpus, of several numbers of labels, and regime: accuracies by number of labels."""
    found: dict[str, dict[str, dict[int, list[float]]]] = {}
    for (_, data), own in grouped.items():
        corpus, _, labels = data.rpartition("-")
        for each in own:
            for regime, runs in ((each.comparison.regime, each.runs), (each.comparison.beside, each.beside)):
                if each.comparison.measure == "accuracy":
                    values = [run.accuracy for run in runs.values() if run.status == "ok"]
                    found.setdefault(corpus, {}).setdefault(regime, {})[int(labels)] = values
    return {corpus: runs for corpus, runs in found.items() if max(map(len, runs.values())) > 1}


def labels_figure(corpus: str, regimes: dict[str, dict[int, list[float]]]) -> str:
    def draw(axes: Sequence[Axes]) -> None:
        for position, (regime, by_labels) in enumerate(regimes.items()):
            color, marker = CASE_LOOKS[position % len(CASE_LOOKS)]
            counts = sorted(by_labels)
            found = [estimate(by_labels[count]) for count in counts]
            means, halves = (np.array([getattr(each, name) for each in found]) for name in ("mean", "high"))
            axes[0].errorbar(counts, 100 * means, 100 * (halves - means), label=regime, color=color, marker=marker)
        axes[0].set(xscale="log", xlabel="labels", ylabel="accuracy, %")
        axes[0].legend(loc="lower right")

    return svg(f"Accuracy on {corpus} by the number of labels, means with 95 % intervals over seeds", 1, draw)
