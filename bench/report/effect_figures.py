"""What each way to train changes beside plain training, as SVG text: a figure a data set, a row a regime."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from bench.records.store import latest
from bench.report.figures import CASE_LOOKS, INK, svg
from bench.report.tables.effects import ACCURACY, MEASURES, NLL, PLAIN, judged
from bench.report.tables.paired import Runs, differences
from bench.train.plan import JUDGED_BY, Measure
from bench.train.regimes import REGIMES
from bench.train.statistics import estimate

PANELS: dict[Measure, tuple[str, int]] = {  # measure: what the axis says, in which scale
    "accuracy": ("accuracy, points", 100),
    "nll": ("NLL, nats", 1),
    "calibration_error": ("calibration error, points", 100),
    "pgd_accuracy": ("accuracy under PGD-20, points", 100),
}
Regimes = Mapping[str, Runs]
APART = 0.2  # of a row, between frameworks


def effect_figures(records: Iterable[Any]) -> dict[str, str]:
    """SVG by file name, one a data set with something beside plain training."""
    records = latest(records)
    by = {measure: judged(records, by=measure) for measure in MEASURES}
    found: dict[str, dict[str, Mapping[str, Regimes]]] = {}
    for place, regimes in by[ACCURACY].items():
        if PLAIN in regimes and len(regimes) > 1:
            found.setdefault(place[0], {})[place[1]] = {measure: by[measure][place] for measure in MEASURES}
    return {f"effects-{data}.svg": figure(data, frameworks) for data, frameworks in found.items()}


def figure(data: str, frameworks: Mapping[str, Mapping[str, Regimes]]) -> str:
    """A panel a measure; `frameworks` holds the runs by the measure that chose their strength."""
    known = {name for chosen in frameworks.values() for name in chosen[ACCURACY]}
    rows = [name for name in REGIMES if name != PLAIN and name in known]

    def draw(axes: Sequence[Axes]) -> None:
        for ax, (measure, (label, scale)) in zip(axes, PANELS.items(), strict=True):
            for position, (framework, chosen) in enumerate(frameworks.items()):
                color, marker = CASE_LOOKS[position % len(CASE_LOOKS)]
                places, means, halves = points(rows, chosen[JUDGED_BY.get(measure, NLL)], measure)
                ax.errorbar(
                    scale * means, places + APART * position, xerr=scale * halves, label=framework,
                    color=color, marker=marker, markersize=4, linestyle="none",
                )  # fmt: skip
            ax.axvline(0, color=INK, linewidth=0.8)
            ax.set(xlabel=label, yticks=range(len(rows)), yticklabels=rows if ax is axes[0] else [])
            ax.set_ylim(len(rows) - 0.5, -0.5)  # the first on top
            ax.grid(axis="x")
        if len(frameworks) > 1:
            axes[0].figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)

    return svg(f"Beside plain training, {data}: paired differences with 95 % intervals over seeds", len(PANELS), draw)


def points(rows: Sequence[str], regimes: Regimes, measure: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, mean difference and half its interval, of the regimes that have runs to compare."""
    found = [
        (row, each.mean, each.high - each.mean)
        for row, name in enumerate(rows)
        if name in regimes and (each := estimate(differences(regimes[name], regimes[PLAIN], measure))).seeds > 1
    ]
    row, mean, half = np.array(found, float).reshape(-1, 3).T
    return row, mean, half
