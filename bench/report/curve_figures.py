"""Trainings with the same seed in several frameworks, as SVG text: the losses, and how far they part."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from bench.records.schema import TrainingRecord
from bench.report.figures import CASE_LOOKS, LOOKS, svg
from bench.report.tables.curves import Losses, curves, differences
from bench.report.tables.outcomes import frameworks, of_kind

SHOWN = ("plain", "fgm", "gradient penalty", "vat")  # of the losses; the distances are every regime's


def curve_figures(records: Iterable[Any]) -> dict[str, str]:
    """SVG by file name, one a data set."""
    order = frameworks(list(of_kind(records, TrainingRecord)))
    return {f"training-{data}.svg": figure(data, regimes, order) for data, regimes in curves(records).items()}


def figure(data: str, regimes: Losses, order: Sequence[str]) -> str:
    def draw(axes: Sequence[Axes]) -> None:
        draw_losses(axes[0], {name: regimes[name] for name in SHOWN if name in regimes}, order)
        draw_distances(axes[1], {name: losses for name, losses in regimes.items() if len(losses) > 1})

    return svg(f"The same seed in several frameworks, {data}, float64", 2, draw)


def draw_losses(ax: Axes, regimes: Losses, order: Sequence[str]) -> None:
    """Curves that are the same lie on each other: the first framework's is drawn widest."""
    for position, name in enumerate(order):
        for regime, losses in regimes.items():
            if name in losses:
                look = LOOKS[position % len(LOOKS)] | {"marker": ""}
                ax.plot(losses[name], label=name if regime == next(iter(regimes)) else None, **look)
    for regime, losses in regimes.items():
        ends = [each[-1] for each in losses.values()]
        ax.annotate(regime, (len(next(iter(losses.values()))), ends[0]), fontsize=8)
    ax.set(xlabel="step", ylabel="objective")
    ax.legend(loc="upper right")


def draw_distances(ax: Axes, regimes: Losses) -> None:
    for position, (regime, losses) in enumerate(regimes.items()):
        color, _ = CASE_LOOKS[position % len(CASE_LOOKS)]
        style = "-" if position < len(CASE_LOOKS) else ":"
        ax.plot(np.maximum(differences(losses), 1e-17), style, color=color, linewidth=1.2, label=regime)
    ax.axhline(1e-9, color="#777777", linestyle="--", linewidth=1)
    ax.set(yscale="log", xlabel="step", ylabel="largest relative difference")
    ax.legend(loc="upper left", fontsize=6, ncols=2)
